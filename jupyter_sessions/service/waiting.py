"""Waiting for a session to become something else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service.feed import Feed

_FIRST_SECONDS, _LONGEST_SECONDS, _GROWTH = 0.02, 1.0, 1.5
_SHARE = 0.2
"""Of a backend's `poll_seconds`: what somebody waits for is asked for more often than what is only listed."""


class Looks(Protocol):
    """What a session can be looked at with."""

    feed: Feed

    def backend(self, name: str | None = None) -> Backend:
        """A backend by name."""
        ...

    def get(self, backend: str, id: str) -> Awaitable[SessionInfo]:
        """One session."""
        ...


async def wait(
    where: Looks, backend: str, id: str, until: Callable[[SessionInfo], bool], *, every: bool = False
) -> AsyncIterator[SessionInfo]:
    """The session's rows as they change, or at `every` look, the last of them one that `until` holds for."""
    told = asyncio.Event()
    stop = where.feed.listen(lambda batch: told.set())
    seen: SessionInfo | None = None
    pause = _FIRST_SECONDS
    try:
        while True:
            row = await where.get(backend, id)
            if every or seen is None or row.list_fingerprint() != seen.list_fingerprint():
                yield row
            if until(row):
                return
            seen = row
            await _change(where.backend(backend), row, told, pause)
            longest = max(_LONGEST_SECONDS, where.backend(backend).poll_seconds * _SHARE)
            pause = min(pause * _GROWTH, longest)
    finally:
        stop()


async def _change(backend: Backend, row: SessionInfo, told: asyncio.Event, pause: float) -> None:
    """Return once a session may have changed: the feed or its backend says so, or some time has gone by."""
    told.clear()
    works = [asyncio.ensure_future(work) for work in (told.wait(), backend.changed(row, pause))]
    try:
        done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
    if any(work.exception() for work in done):
        await asyncio.sleep(pause)  # What ails it is what asking it again will tell.
