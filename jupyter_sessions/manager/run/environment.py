"""The environment of a session's processes."""

from __future__ import annotations

import os

from jupyter_sessions.manager.core import cluster
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.runtime import gpus, threads

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
        | threads.thread_env(slots["cpu"])
        | record.launch.env
        | threads.limit_env(slots["cpu"], slots["mem"])
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
