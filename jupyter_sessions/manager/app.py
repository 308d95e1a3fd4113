"""The manager's HTTP application and its life. The routes are in `api.routes`."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakSet

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from jupyter_sessions._version import __version__
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager import connections
from jupyter_sessions.manager.activity import ACTIVITY, ManagerActivity
from jupyter_sessions.manager.api import auth, bearer, hosts, problems, session, sockets
from jupyter_sessions.manager.api.manager import SETTINGS
from jupyter_sessions.manager.api.routes import LISTENERS, OPEN, all_routes
from jupyter_sessions.manager.connections import PortSite, UnixSite
from jupyter_sessions.manager.core.events import Bus
from jupyter_sessions.manager.core.expiry import Clock
from jupyter_sessions.manager.core.rebuild import open_store
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.manager.live_settings import LiveSettings
from jupyter_sessions.manager.presence import Presence
from jupyter_sessions.manager.runtime.base import Runtime
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.manager.settings import ManagerSettings
from jupyter_sessions.manager.skaha import answers, connect_urls
from jupyter_sessions.manager.skaha import routes as skaha
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.identity import here, own_identity
from jupyter_sessions.wire.own_ports import listen_on_new_port, ports_of
from jupyter_sessions.wire.places import Contact, StateFolder

log = logging.getLogger("jupyter_sessions")

BODY_BYTES = 32 * 1024**2
CHECK_SECONDS = 1.0
LINE_BYTES = 128 * 1024
"""The longest first line of a request: Skaha's clients put all fields into the query."""


@web.middleware
async def note_activity(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep the manager running during requests. Listeners for events do not count."""
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
    """Refuse compressed requests: no client sends them, and aiohttp 3.14 waits for ever on some broken bodies."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise InvalidRequest(
            "Compressed requests are not supported.", hint="Send the request without Content-Encoding."
        )
    return await handler(request)


def make_app(
    store: Store, sessions: SessionManager, audience: str, allowed: hosts.Hosts | None = None
) -> web.Application:
    """Create the manager's application. `audience` is the audience of valid bearer tokens; see `Contact.audience`."""
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
    """Serve on a unix socket and on a loopback port."""
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=1.0, max_line_size=LINE_BYTES, max_field_size=LINE_BYTES
    )
    await runner.setup()
    await UnixSite(runner, path).start()
    await PortSite(runner, port).start()
    return runner


async def until_idle(app: web.Application) -> None:
    """Wait until the manager may end: no session needs it, and it was idle for the timeout or is outdated."""
    sessions, activity, settings = app[session.SESSIONS], app[ACTIVITY], app[SETTINGS]
    activity.last = time.monotonic()  # The first request is possible only now.
    while sessions.in_care or (
        activity.idle_seconds() < settings.now.manager_timeout and (activity.open or not settings.replaced())
    ):
        try:
            sessions.machine.save()
            await asyncio.to_thread(sessions.store.tidy)
        except Exception:  # A failure here must not end the manager.
            log.exception("the store cannot be tidied up")
        await asyncio.sleep(min(settings.now.manager_timeout, CHECK_SECONDS))


class RunningManager(msgspec.Struct, frozen=True):
    """A serving manager: its application, its contact data, and the task that keeps it reachable.

    The task ends only with the error MovedAway.
    """

    app: web.Application
    contact: Contact
    presence: asyncio.Task[None]


@asynccontextmanager
async def managing(
    settings: ManagerSettings,
    where: StateFolder,
    runtime: Runtime,
    *,
    clock: Clock | None = None,
    linger: float = 0.0,
) -> AsyncIterator[RunningManager]:
    """Take over the sessions of a state folder, and serve requests for them until the end of the block.

    Sessions outlive the block. The manager answers for another `linger` seconds after it has removed its contact file.
    """
    store = open_store(where.folder)
    last, now = store.last_host(), here()
    run_folder = where.run_folder()
    sessions = SessionManager(
        store=store,
        bus=Bus(),
        settings=settings,
        runtime=runtime,
        run_folder=run_folder,
        state_folder=where.folder,
        on_live=lambda live: _mark(where.live_file, live),
        clock=clock,
    )
    sessions.adopt(last, now)
    store.set_host(now)
    listener = listen_on_new_port(where)
    host, port = listener.getsockname()
    path = run_folder / "manager.sock"
    remove(path)
    contact = Contact(
        identity=own_identity(),
        socket=str(path),
        url=f"http://{host}:{port}",
        keypair=store.keys.first.pair,
        version=__version__,
    )
    allowed = hosts.Hosts(settings.allowed_hosts, frozenset(ports_of(where)) - {port})
    app = make_app(store, sessions, contact.audience, allowed)
    app[SETTINGS] = LiveSettings(settings, sessions.reconfigure)
    runner = await serve(app, str(path), listener)
    where.write_contact(contact)
    log.info("manager %s listens on %s and %s", __version__, path, contact.url)
    presence = Presence(where, contact, runner, sessions, app[SETTINGS])
    keeping = asyncio.create_task(presence.run())
    try:
        yield RunningManager(app, contact, keeping)
    finally:
        keeping.cancel()
        where.contact_file.unlink(missing_ok=True)
        await asyncio.sleep(linger)
        await sessions.close()
        await runner.cleanup()
        store.close()
        presence.close()
        remove(path)
        where.leave_run_folder()


def _mark(file: Path, live: bool) -> None:
    try:
        file.touch() if live else file.unlink(missing_ok=True)
    except OSError as error:
        log.error("%s: %s", file, error)
