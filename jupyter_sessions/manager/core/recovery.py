"""What a manager finds of the sessions of one before it."""

from __future__ import annotations

from pathlib import Path

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.runtime.launch import LaunchError, Process, recover
from jupyter_sessions.wire.identity import Host


def why_lost(last: Host | None, now: Host) -> str:
    """Why nothing of what ran before can be running still; "" if it may be."""
    if last is None or (last.boot_id, last.pid_ns) == (now.boot_id, now.pid_ns):
        return ""
    return "the machine restarted" if last.boot_id != now.boot_id else "the container was replaced"


def find_process(record: Record) -> Process | None:
    """The main process as last started, also if the manager died before it could note it."""
    try:
        return recover(str(Path(record.folder) / "main")) or record.process
    except LaunchError:
        return record.process
