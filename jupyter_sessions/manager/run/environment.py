"""The environment of a session's processes."""

from __future__ import annotations

import os
from decimal import Decimal

from jupyter_sessions.manager.core import cluster
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.runtime import gpus
from jupyter_sessions.wire.environment import CPU_COUNTS

KERNELS = "JUPYTER_SESSIONS_KERNELS"
"""Names the connection files of a cluster's further members: so its programs run code in them."""


def environment(record: Record, rank: int = 0) -> dict[str, str]:
    """The variables of one member: its limits, what was given, its GPUs, and who it is."""
    own = {
        "JPY_PARENT_PID": "1",  # Or ipykernel thinks that a person started it, and explains itself.
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
        {"PYDEVD_DISABLE_FILE_VALIDATION": "1"}  # Or the debugger warns at each start.
        | thread_env(slots["cpu"])
        | record.launch.env
        | limit_env(slots["cpu"], slots["mem"])
        | record.environ
        | gpus.visible(record.gpus_of(rank))
        | cluster.variables(record.id, record.size, rank)
        | own
    )


def with_programs(record: Record, env: dict[str, str]) -> dict[str, str]:
    """The same for a shell: the programs of the session's image are found first, `python` among them."""
    folder = os.path.dirname(record.launch.argv[0])
    path = env.get("PATH", os.defpath)
    return env | {"PATH": f"{folder}{os.pathsep}{path}"} if os.path.isabs(folder) else env


def thread_env(cpu: Decimal) -> dict[str, str]:
    """Environment variables for a share of `cpu` cores: whole threads only, at least one.

    Libraries left alone count the machine's cores; more threads than quota are slower than fewer.
    """
    return dict.fromkeys(CPU_COUNTS, str(max(1, int(cpu))))


def limit_env(cpu: Decimal, mem: Decimal) -> dict[str, str]:
    """Return the variables in which JupyterHub tells a server its limits, with those of a session.

    What a session may use is set aside for it, so guarantees and limits are the same.
    """
    cores, size = f"{cpu.normalize():f}", str(int(mem))
    return {"CPU_LIMIT": cores, "CPU_GUARANTEE": cores, "MEM_LIMIT": size, "MEM_GUARANTEE": size}
