"""Find out what is left of the sessions of an earlier manager."""

from __future__ import annotations

from pathlib import Path

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.runtime.base import Runtime
from jupyter_sessions.manager.runtime.launch import LaunchError, Process
from jupyter_sessions.wire.identity import Host


def why_lost(last: Host | None, now: Host) -> str:
    """Return why no earlier process can be running any more, or "" if some may be."""
    if last is None or (last.boot_id, last.pid_ns) == (now.boot_id, now.pid_ns):
        return ""
    return "the machine restarted" if last.boot_id != now.boot_id else "the container was replaced"


def find_process(record: Record, runtime: Runtime) -> Process | None:
    """Return the main process as started last, even if the manager died before it could store the process."""
    try:
        return runtime.recover(Path(record.folder) / "main") or record.process
    except LaunchError:
        return record.process
