"""`GET /events/session`: lifecycle events as they happen. Source: managers 23.09 to 26.8."""

from __future__ import annotations

import asyncio

from aiohttp import web

from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.wire import sse

KEEP_ALIVE_SECONDS = 8.0


async def session_events(request: web.Request) -> web.StreamResponse:
    """Stream the events of one session, or with ``*`` of all; ends with the manager or the session."""
    sessions = request.app[SESSIONS]
    ref = request.query.get("sessionId") or request.query.get("sessionName") or request.query.get("name") or "*"
    wanted = None if ref == "*" else sessions.find_any(ref).id
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    with sessions.bus.listen() as queue:
        await response.prepare(request)
        await response.write(sse.KEEP_ALIVE)
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), KEEP_ALIVE_SECONDS)
            except TimeoutError:
                await response.write(sse.KEEP_ALIVE)
                continue
            if event is None:
                break
            if wanted in (None, event.session_id):
                await response.write(sse.frame(event.name, event.data()))
                if wanted and event.name in ("session_terminated", "session_cancelled"):
                    break
    await response.write(sse.frame(sse.CLOSE, {}))
    return response
