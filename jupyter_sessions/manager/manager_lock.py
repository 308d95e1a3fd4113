"""Locks that allow one manager per user, host and container to write to a state folder.

The manager holds `manager.lock`. It shares `sessions.lock` with the shims of all its sessions, so that the lock shows
even after the manager's death whether a session still runs.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from jupyter_sessions.manager.core import snapshots
from jupyter_sessions.manager.core.store import Store, StoreDamaged
from jupyter_sessions.wire.identity import Host
from jupyter_sessions.wire.places import StateFolder, private_folder

_HOLDER_BYTES = 64


def claim(wanted: StateFolder) -> tuple[StateFolder, int] | None:
    """Return the state folder that this process may manage, and a descriptor that its sessions keep open.

    Return None if a manager of this container runs already or is about to end. If a manager of another container, or its
    sessions, hold the folder, this manager uses the secondary folder, so that neither ends the other's sessions.
    Errors: SessionError if a newer version wrote there.
    """
    host = wanted.host
    places = [wanted, wanted.secondary]
    if _left_sessions(wanted.secondary, host):
        places.reverse()
    for candidate in places:
        private_folder(candidate.folder)
        lock = _open(candidate.folder / "manager.lock")
        if not _locked(lock):
            holder = os.pread(lock, _HOLDER_BYTES, 0).decode().strip()
            if holder in ("", _text(host)):
                return None
            os.close(lock)
            continue
        os.pwrite(lock, _text(host).ljust(_HOLDER_BYTES).encode(), 0)
        sessions = _open(candidate.folder / "sessions.lock")
        if _locked(sessions) or _last_host(candidate) in (None, _where(host)):
            fcntl.flock(sessions, fcntl.LOCK_SH)
            return candidate, sessions
        os.close(sessions)
        os.close(lock)
    return None


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _text(host: Host) -> str:
    return f"{host.boot_id} {host.pid_ns}"


def _left_sessions(secondary: StateFolder, host: Host) -> bool:
    """Return whether an earlier manager left live sessions in the secondary folder."""
    return secondary.live_file.exists() and _last_host(secondary) == _where(host)


def _last_host(candidate: StateFolder) -> tuple[str, int] | None:
    try:
        store = Store(candidate.folder / "sessions.db")
    except StoreDamaged:
        last = snapshots.load_host(candidate.folder)
    else:
        last = store.last_host()
        store.close()
    return _where(last) if last else None


def _where(host: Host) -> tuple[str, int]:
    return host.boot_id, host.pid_ns
