"""The manager's HTTP face: what is true of every request. Its routes are in `api.routes`."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from weakref import WeakSet

from aiohttp import web
from aiohttp.typedefs import Handler

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager import connections
from jupyter_sessions.manager.activity import ACTIVITY, ManagerActivity
from jupyter_sessions.manager.api import auth, bearer, hosts, problems, session, sockets
from jupyter_sessions.manager.api.routes import LISTENERS, OPEN, all_routes
from jupyter_sessions.manager.connections import PortSite, UnixSite
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.manager.live_settings import LiveSettings
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.manager.skaha import answers, connect_urls
from jupyter_sessions.manager.skaha import routes as skaha

log = logging.getLogger("jupyter_sessions")

BODY_BYTES = 32 * 1024**2
LOOK_SECONDS = 1.0
LINE_BYTES = 128 * 1024
"""Of a request's first line: Skaha's clients put all into the query."""


@web.middleware
async def note_activity(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keeps the manager from ending while it is spoken to. A mere listener does not count."""
    activity = request.app[ACTIVITY]
    activity.last = time.monotonic()
    counts = request.match_info.handler not in LISTENERS
    activity.open += counts
    try:
        return await handler(request)
    finally:
        activity.open -= counts
        activity.last = time.monotonic()


@web.middleware
async def refuse_compressed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """No client compresses what it sends, and aiohttp 3.14 waits for ever for the end of some broken bodies."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidRequest(
            "Content-Encoding: compressed requests are not read here.", hint="Send it plain."
        )
    return await handler(request)


def make_app(
    store: Store, sessions: SessionManager, audience: str, allowed: hosts.Hosts | None = None
) -> web.Application:
    """Make the manager's application. `audience` is what bearer tokens must be for; see `Contact.audience`."""
    app = web.Application(
        client_max_size=BODY_BYTES,
        middlewares=[
            connections.middleware,
            problems.middleware,
            answers.middleware,
            hosts.middleware,
            note_activity,
            auth.middleware,
            refuse_compressed,
        ],
    )
    app[auth.STORE] = store
    app[auth.OPEN] = OPEN | skaha.OPEN
    app[auth.BEARER] = skaha.BEARER
    app[connections.CONNECTIONS] = connections.Connections()
    app[bearer.AUDIENCE] = audience
    app[hosts.HOSTS] = allowed or hosts.Hosts()
    app[session.SESSIONS] = sessions
    app[connect_urls.NOTEBOOK_SERVERS] = connect_urls.NotebookServers(sessions, audience)
    app[ACTIVITY] = ManagerActivity()
    app[sockets.SOCKETS] = WeakSet()
    app.on_shutdown.append(sockets.close_all)
    app.add_routes([*all_routes(), *skaha.ROUTES])
    app.on_cleanup.append(connect_urls.close)
    return app


async def serve(app: web.Application, path: str, port: socket.socket) -> web.AppRunner:
    """Serve on a unix socket and on a socket that listens on a loopback port."""
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=1.0, max_line_size=LINE_BYTES, max_field_size=LINE_BYTES
    )
    await runner.setup()
    await UnixSite(runner, path).start()
    await PortSite(runner, port).start()
    return runner


async def until_idle(app: web.Application, settings: LiveSettings) -> None:
    """Return once nothing lives and nobody has spoken for as long as is configured, or another manager is due."""
    sessions, activity = app[session.SESSIONS], app[ACTIVITY]
    activity.last = time.monotonic()  # Only now can anybody speak.
    while sessions.in_care or (
        activity.idle_seconds() < settings.now.manager_timeout and (activity.open or not settings.replaced())
    ):
        try:
            sessions.machine.save()
            await asyncio.to_thread(sessions.store.tidy)
        except Exception:  # What lives here must not be left for that.
            log.exception("what is kept cannot be tidied up")
        await asyncio.sleep(min(settings.now.manager_timeout, LOOK_SECONDS))
