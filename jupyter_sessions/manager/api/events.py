"""`GET /events/session`: lifecycle events as they happen. Source: managers 23.09 to 26.8."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.manager.events import Queue
from jupyter_sessions.wire import sse

KEEP_ALIVE_SECONDS = 8.0


async def session_events(request: web.Request) -> web.StreamResponse:
    """Stream the events of one session, or with ``*`` of all; ends with the manager or the session."""
    sessions = request.app[SESSIONS]
    ref = (
        request.query.get("sessionId") or request.query.get("sessionName") or request.query.get("name") or "*"
    )
    record = None if ref == "*" else sessions.find_any(ref)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    with suppress(ConnectionError), sessions.bus.listen() as queue:
        await response.prepare(request)
        await response.write(sse.KEEP_ALIVE)
        if record is None or record.live:
            await _send(response, queue, record.id if record else None)
        await response.write(sse.frame(sse.CLOSE, {}))
    return response


async def _send(response: web.StreamResponse, queue: Queue, wanted: str | None) -> None:
    """Write events until the queue, or the one session wanted, has ended."""
    while True:
        try:
            event = await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
        except TimeoutError:
            await response.write(sse.KEEP_ALIVE)
            continue
        if event is None:
            return
        if wanted in (None, event.session_id):
            await response.write(sse.frame(event.name, event.data()))
            if wanted and event.name in ("session_terminated", "session_cancelled"):
                return
