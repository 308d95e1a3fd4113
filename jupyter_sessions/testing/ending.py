"""Ending what tests leave in a backend."""

from __future__ import annotations

from collections.abc import Container
from contextlib import suppress

from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.errors import NotRunning, SessionNotFound


async def end_sessions(backend: Backend, but: Container[str] = ()) -> None:
    """Ask for the end of each live session, `but` for these ids. One that ends by itself meanwhile has ended, too."""
    for row in await backend.list(Query()):
        if row.id not in but:
            with suppress(SessionNotFound, NotRunning):
                await backend.destroy(row.id, forced=True)
