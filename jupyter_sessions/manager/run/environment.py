"""The environment of a session's processes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from decimal import Decimal

from jupyter_sessions.manager.core import cluster
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.runtime import gpus
from jupyter_sessions.wire.environment import CPU_COUNTS

KERNELS = "JUPYTER_SESSIONS_KERNELS"
"""The variable with the connection files of a cluster's sub members, through which programs run code in them."""


def environment(record: Record, secrets: Mapping[str, str], rank: int = 0) -> dict[str, str]:
    """Return the environment variables of one member: its limits, the given variables, its GPUs and its identity."""
    own = {
        "JPY_PARENT_PID": "1",  # Without a parent ipykernel prints help for a person who started it by hand.
        "BACKENDAI_SESSION_ID": record.id,
        "BACKENDAI_SESSION_NAME": record.name,
        "BACKENDAI_KERNEL_ID": record.member_ids[rank],
        "BACKENDAI_ACCESS_KEY": record.access_key,
    }
    if record.subs:
        files = (
            os.path.join(record.folder, cluster.hostname(sub.rank), "kernel.json") for sub in record.subs
        )
        own[KERNELS] = os.pathsep.join(files)
    if record.preopen_ports:
        own["BACKENDAI_PREOPEN_PORTS"] = ",".join(map(str, record.preopen_ports))
    if record.skaha_name:
        own |= {"skaha_sessionid": skaha_id(record.id), "skaha_hostname": record.skaha_name}
    slots = record.member_slots
    return (
        {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # The debugger would warn at each start.
        | thread_env(slots["cpu"])
        | record.launch.env
        | limit_env(slots["cpu"], slots["mem"])
        | record.environ
        | dict(secrets)
        | gpus.visible(record.gpus_of(rank))
        | cluster.variables(record.id, record.size, rank)
        | own
    )


def with_programs(record: Record, env: dict[str, str]) -> dict[str, str]:
    """Return an environment for a shell, which finds the programs of the session's image first."""
    folder = os.path.dirname(record.launch.argv[0])
    path = env.get("PATH", os.defpath)
    return env | {"PATH": f"{folder}{os.pathsep}{path}"} if os.path.isabs(folder) else env


def thread_env(cpu: Decimal) -> dict[str, str]:
    """Return the variables that limit libraries to `cpu` threads, rounded down to at least one.

    Libraries count the machine's cores by default, and more threads than the quota allows are slower than fewer.
    """
    return dict.fromkeys(CPU_COUNTS, str(max(1, int(cpu))))


def limit_env(cpu: Decimal, mem: Decimal) -> dict[str, str]:
    """Return JupyterHub's variables for limits, with the limits of a session.

    A session's resources are reserved for it, so guarantees and limits are equal.
    """
    cores, size = f"{cpu.normalize():f}", str(int(mem))
    return {"CPU_LIMIT": cores, "CPU_GUARANTEE": cores, "MEM_LIMIT": size, "MEM_GUARANTEE": size}
