"""Wait for a session to change, without asking its backend more often than the feed does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from typing import Protocol

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service.changes import BackendChanged, Batch, Change, SessionPut, SessionRemoved
from jupyter_sessions.service.feed import Feed

LOOK_AGAIN_SECONDS = 30.0
"""How long a session may show no change before it is looked at all the same, unless its backend asks for longer."""


class SessionSource(Protocol):
    """The part of `SessionService` that waiting needs."""

    feed: Feed

    def backend(self, name: str | None = None) -> Backend:
        """Return a backend by name."""
        ...

    def get(self, backend: str, id: str) -> Awaitable[SessionInfo]:
        """Return a session."""
        ...


async def wait(
    source: SessionSource, backend: str, id: str, until: Callable[[SessionInfo], bool], *, every: bool = False
) -> AsyncIterator[SessionInfo]:
    """Yield the session's row whenever it changes, until `until` holds.

    With `every`, look as often as the backend may be polled, and yield the row after each look.
    """
    place, changed = source.backend(backend), asyncio.Event()
    longest = place.poll_seconds if every else max(LOOK_AGAIN_SECONDS, place.poll_seconds)

    def note(batch: Batch) -> None:
        if any(_concerns(change, backend, id) for change in batch.changes):
            changed.set()

    seen: SessionInfo | None = None
    with ExitStack() as stack:
        stack.callback(source.feed.listen(note))
        if not place.reports_changes():
            stack.enter_context(source.feed.watching(place))
        while True:
            changed.clear()
            row = await source.get(backend, id)
            if every or seen is None or row.list_fingerprint() != seen.list_fingerprint():
                yield row
            if until(row):
                return
            seen = row
            await _next_change(place, row, changed, longest)


async def _next_change(place: Backend, row: SessionInfo, changed: asyncio.Event, seconds: float) -> None:
    """Return when the feed or the backend reports a change, or after some seconds without one."""
    reports: list[asyncio.Future[object]] = [asyncio.ensure_future(changed.wait())]
    if place.reports_changes():
        reports.append(asyncio.ensure_future(place.next_change(row)))
    try:
        done, _ = await asyncio.wait(reports, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if any(report.exception() for report in done):  # The next `get` tells what is wrong.
            await asyncio.sleep(min(1.0, place.poll_seconds))
    finally:
        for report in reports:
            report.cancel()
        await asyncio.gather(*reports, return_exceptions=True)


def _concerns(change: Change, backend: str, id: str) -> bool:
    match change:
        case SessionPut(session):
            return (session.backend, session.id) == (backend, id)
        case SessionRemoved() | BackendChanged():
            return change.backend == backend
    return False
