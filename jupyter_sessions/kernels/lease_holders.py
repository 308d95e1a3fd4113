"""How many kernels of this process are in a session that was made for them: it ends with the last one.

There may be several of one notebook, whose session was asked for again while it was being made (`once`).
"""

from __future__ import annotations

from collections import Counter

from jupyter_sessions.model import SessionInfo

_holders: Counter[tuple[str, str]] = Counter()


def hold(row: SessionInfo) -> None:
    """One more kernel is in it."""
    _holders[row.backend, row.id] += 1


def release(row: SessionInfo) -> bool:
    """A kernel has left it; whether it was the last one."""
    _holders[row.backend, row.id] -= 1
    if _holders[row.backend, row.id] > 0:
        return False
    del _holders[row.backend, row.id]
    return True


def shared(row: SessionInfo) -> bool:
    """Whether several are in it."""
    return _holders[row.backend, row.id] > 1
