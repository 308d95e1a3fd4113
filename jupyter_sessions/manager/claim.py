"""One manager per user, host and container: who may write to a state folder.

Two locks: `manager.lock` is held by the manager, `sessions.lock` is shared by it and the shims of
all its sessions, so that it tells even after the manager's death whether something still runs.
"""

from __future__ import annotations

import fcntl
import os

from jupyter_sessions.manager.store import Store
from jupyter_sessions.wire.identity import Host
from jupyter_sessions.wire.places import Place


def claim(wanted: Place) -> tuple[Place, int] | None:
    """The place that this process may manage, and a descriptor that its sessions keep open.

    None if a manager of this container runs already. If one of another container holds the place,
    or its sessions do, this one takes the secondary place, and neither ends the other's sessions.
    """
    for candidate in (wanted, wanted.secondary):
        candidate.folder.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(candidate.folder / "manager.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _locked(lock, fcntl.LOCK_EX):
            if _holder(lock) == str(wanted.host.pid_ns):
                return None
            os.close(lock)
            continue
        os.truncate(lock, 0)
        os.pwrite(lock, str(wanted.host.pid_ns).encode(), 0)
        sessions = os.open(candidate.folder / "sessions.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _locked(sessions, fcntl.LOCK_EX) or not _of_another(candidate, wanted.host):
            fcntl.flock(sessions, fcntl.LOCK_SH)
            return candidate, sessions
        os.close(sessions)
        os.close(lock)
    return None


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(lock: int) -> str:
    return os.pread(lock, 32, 0).decode()


def _of_another(candidate: Place, host: Host) -> bool:
    """Whether the living sessions belong to another container."""
    store = Store(candidate.folder / "sessions.db")
    last = store.last_host()
    store.close()
    return last is not None and (last.boot_id, last.pid_ns) != (host.boot_id, host.pid_ns)
