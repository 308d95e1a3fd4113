"""`GET /events/session`: lifecycle events as they happen. Source: managers 23.09 to 26.8."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import msgspec
from aiohttp import web

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.auth import STORE, WHO, acting
from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.manager.core.events import EventQueue, SessionEvent
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.wire import sse

KEEP_ALIVE_SECONDS = 8.0
HOLD_SECONDS = 30.0
_SCOPES = frozenset({"session", "kernel"})


async def session_events(request: web.Request) -> web.StreamResponse:
    """Stream the events of one session, or of all with ``*``, until the session or the manager ends."""
    sessions, who = request.app[SESSIONS], acting(request, request.query.get("ownerAccessKey"))
    ref = (
        request.query.get("sessionId") or request.query.get("sessionName") or request.query.get("name") or "*"
    )
    record = None if ref == "*" else sessions.find_any(ref, who)
    wanted = _wanted(request, who, record)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    with suppress(ConnectionError), sessions.bus.listen() as queue:
        await response.prepare(request)
        await response.write(sse.KEEP_ALIVE)
        if record is None or record.live:
            await _send(response, queue, wanted)
        await response.write(sse.frame(sse.CLOSE, {}))
    return response


class _EventFilter(msgspec.Struct, frozen=True):
    """The events for a listener: those it may see, of a session, group or scope if the request names one.

    `valid` returns whether the key of the request still exists.
    """

    who: Key
    session_id: str | None
    group: str | None
    scopes: frozenset[str]
    valid: Callable[[], bool]

    def has(self, event: SessionEvent) -> bool:
        """Return whether an event passes the filter."""
        one = self.session_id in (None, event.session_id) and self.group in (None, event.group)
        return one and event.name.partition("_")[0] in self.scopes and self.who.sees(event)


def _wanted(request: web.Request, who: Key, record: Record | None) -> _EventFilter:
    group = request.query.get("group") or request.query.get("groupName") or "*"
    scopes = frozenset(request.query.get("scope", "*").split(","))
    if not scopes <= _SCOPES | {"*"}:
        hint = "Use session, kernel, both with a comma, or *."
        raise InvalidRequest(f"There is no scope '{min(scopes - _SCOPES)}'.", hint=hint, field="scope")
    keys, key = request.app[STORE].keys, request[WHO].access_key
    return _EventFilter(
        who,
        record.id if record else None,
        None if group == "*" else group,
        _SCOPES if "*" in scopes else scopes,
        lambda: keys.get(key) is not None,
    )


async def _send(response: web.StreamResponse, queue: EventQueue, wanted: _EventFilter) -> None:
    """Write events until the queue ends, or the one session that the client follows."""
    while wanted.valid():
        try:
            event = await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
        except TimeoutError:
            await response.write(sse.KEEP_ALIVE)
            continue
        if event is None:
            return
        if wanted.valid() and wanted.has(event):
            await response.write(sse.frame(event.name, event.data()))
        last = event.name in ("session_terminated", "session_cancelled")
        if last and wanted.session_id == event.session_id:
            return


async def change(request: web.Request) -> web.Response:
    """Answer GET …/{ref}/change?seen=…&name=…&within=… once a session differs.

    `seen` is the last known `status_changed`, `within` the most seconds to wait.
    """
    sessions = request.app[SESSIONS]
    record = sessions.find_any(request.match_info["ref"], acting(request))
    last = request.query.get("seen"), request.query.get("name")
    with suppress(TimeoutError), sessions.bus.listen() as queue:
        async with asyncio.timeout(_within(request)):
            while record.live and (record.changed.isoformat(), record.name) == last:
                if await queue.get() is None:
                    break
    return web.Response(status=204)


def _within(request: web.Request) -> float:
    try:
        return max(0.0, min(float(request.query.get("within", "0")), HOLD_SECONDS))
    except ValueError:
        raise InvalidRequest("The time in 'within' is no number of seconds.", field="within") from None
