"""Which session each kernel of this process runs in."""

from __future__ import annotations

from weakref import WeakValueDictionary

from jupyter_sessions.kernels.session import KernelSession
from jupyter_sessions.model import SessionInfo

_kernels: WeakValueDictionary[str, KernelSession] = WeakValueDictionary()


def note(kernel_id: str, session: KernelSession) -> None:
    """Remember it for as long as the kernel is there."""
    _kernels[kernel_id] = session


def in_use() -> set[tuple[str, str]]:
    """The sessions that kernels of this process run in, by backend and id."""
    rows = [session.row for session in _kernels.values()]
    return {(row.backend, row.id) for row in rows if row is not None}


def session_of(kernel_id: str) -> SessionInfo | None:
    """The row of a kernel's session, None if it runs in none."""
    session = _kernels.get(kernel_id)
    return session.row if session is not None else None
