"""What changes on a manager: its events say which sessions to look at.

Why a session waits, and what others call it now, change without an event (25.5.2), and 23.9.10 tells nothing
of sessions that are queued, start to run or are cancelled, as it looks for a kernel with the session's id (mended
by pull request 2421 in the course of 23.09 and 24.03). So it is asked now and then, for the few fields that
tell whether a session is other than before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from jupyter_sessions.backends.backendai.connection import Reached
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.polling import Pace, unsettled
from jupyter_sessions.errors import BackendTimeout, BackendUnavailable, SessionNotFound
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.wire import untrusted
from jupyter_sessions.wire.sse import Patient, ServerEvent

AT_ONCE = 4
"""How many sessions are asked for at the same time."""
_EVENT_SECONDS = 3600.0
_BURST_SECONDS = 0.02
_MOST_AT_ONCE = 1000
_LONGEST_ID = 100


RowsById = Callable[[Sequence[str]], Awaitable[dict[str, SessionInfo] | None]]


class Watcher:
    """Follows the sessions of one manager, and remembers the rows that it yielded last.

    `states` lists the few fields that tell whether sessions have changed; None for a manager whose events leave
    nothing out. `look` gives sessions by id, many at once; None if that cannot be had, and each is asked for.
    """

    def __init__(
        self,
        backend: Reached,
        states: Callable[[], Awaitable[list[SessionInfo]]] | None = None,
        look: RowsById | None = None,
    ) -> None:
        self._backend = backend
        self._look_at_all = look
        self._states = states
        self._pace = Pace(backend.poll_seconds, backend.looking)
        self._seen: dict[str, SessionInfo] | None = None

    async def stream(self) -> AsyncIterator[list[SessionInfo]]:
        """First all that lives, or in a further stream what has changed; then changes, until the stream ends.

        Errors: those of a stream that cannot be opened.
        """
        client = await self._backend.client()
        async with client.events() as events:
            first = await self._now()
            if first is not None:
                yield first
            with suppress(BackendUnavailable, BackendTimeout):
                async for rows in self._changes(events):
                    if rows:
                        yield rows

    async def _changes(self, events: AsyncIterator[ServerEvent]) -> AsyncIterator[list[SessionInfo]]:
        """Yield the rows that changed, as events and polls find them; none if nothing is new."""
        bursts = _bursts(events)
        told: asyncio.Future[Any] = asyncio.ensure_future(anext(bursts))
        due: asyncio.Future[Any] = self._rest(changed=True)
        try:
            while True:
                await asyncio.wait({told, due}, return_when=asyncio.FIRST_COMPLETED)
                if told.done():
                    rows = await self._changed(told.result())
                    told = asyncio.ensure_future(anext(bursts))
                else:
                    rows = await self._changed(await self._differing())
                    due = self._rest(changed=bool(rows))
                yield rows
        except StopAsyncIteration:
            return
        finally:
            for waiting in (told, due):
                waiting.cancel()
            await asyncio.wait({told, due})
            await bursts.aclose()

    def _rest(self, *, changed: bool) -> asyncio.Future[None]:
        """Return a future that ends when it is time for the next poll."""
        if self._states is None:
            return asyncio.get_running_loop().create_future()
        soon = bool(unsettled((self._seen or {}).values()))
        return asyncio.ensure_future(self._pace.rest(soon=soon, changed=changed))

    async def _differing(self) -> list[str]:
        """Return the ids of sessions that are new, gone or different."""
        if self._states is None:
            return []
        now = {row.id: _state(row) for row in await self._states()}
        seen = {uid: _state(row) for uid, row in (self._seen or {}).items()}
        return [uid for uid in now.keys() | seen.keys() if now.get(uid) != seen.get(uid)]

    async def _now(self) -> list[SessionInfo] | None:
        """Return all live rows at first, later those that changed while no stream was open, or None."""
        if self._seen is None:
            self._seen = {row.id: row for row in await self._backend.list(Query())}
            return [*self._seen.values()]
        changed, self._seen = await self._backend.changes(self._seen)
        return changed or None

    async def _changed(self, uids: Iterable[str]) -> list[SessionInfo]:
        """Return the rows of those sessions that have changed."""
        assert self._seen is not None  # noqa: S101
        seen, free, uids = self._seen, asyncio.Semaphore(AT_ONCE), [*uids]
        told = await self._look_at_all(uids) if self._look_at_all and uids else None

        async def look(uid: str) -> SessionInfo | None:
            if told and uid in told:
                return told[uid]
            async with free:
                return await self._look(uid, seen.get(uid))

        found = await asyncio.gather(*map(look, uids))
        rows = [
            row
            for row in found
            if row and (row.id not in seen or seen[row.id].list_fingerprint() != row.list_fingerprint())
        ]
        for row in rows:
            seen.pop(row.id, None)
            if row.live:
                seen[row.id] = row
        return rows

    async def _look(self, uid: str, known: SessionInfo | None) -> SessionInfo | None:
        try:
            return await self._backend.get(uid)
        except SessionNotFound:
            return await self._backend.after_end(known) if known else None


def _state(row: SessionInfo) -> tuple[object, ...]:
    return row.name, row.status, row.status_info, row.status_changed


async def _bursts(events: AsyncIterator[ServerEvent]) -> AsyncGenerator[list[str]]:
    """Yield the ids of sessions with events, those of a burst together and each once."""
    coming = Patient(events)
    ended = False
    try:
        while not ended:
            uids = dict[str, None]()
            wait = _EVENT_SECONDS
            try:
                while len(uids) < _MOST_AT_ONCE and (event := await coming.next(wait)) is not None:
                    uids |= dict.fromkeys(_session_ids(event.data))
                    wait = _BURST_SECONDS
            except StopAsyncIteration:
                ended = True
            if uids:
                yield [*uids]
    finally:
        await coming.close()


def _session_ids(data: str) -> list[str]:
    try:
        uid = untrusted.decode(data).get("sessionId")
    except (msgspec.DecodeError, AttributeError):
        return []
    return [uid] if isinstance(uid, str) and 0 < len(uid) <= _LONGEST_ID else []
