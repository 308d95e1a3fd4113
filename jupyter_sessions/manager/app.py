"""The manager's HTTP face: routes, and what is true of every request."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

from aiohttp import web

from jupyter_sessions._version import __version__
from jupyter_sessions.manager.api import auth, events, execute, graphql, problems, session
from jupyter_sessions.manager.sessions import Sessions
from jupyter_sessions.manager.store import Store
from jupyter_sessions.model import GPU_SLOT
from jupyter_sessions.wire.places import PROTOCOL

API_VERSION = "v8.20240915"
BODY_BYTES = 32 * 1024**2


class Activity:
    """When somebody last spoke to the manager, and who listens now."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        self.open = 0

    def idle_seconds(self) -> float:
        """Seconds since the last request; 0 while one is open."""
        return 0.0 if self.open else time.monotonic() - self.last


ACTIVITY = web.AppKey("activity", Activity)


@web.middleware
async def note_activity(request: web.Request, handler: problems.Handler) -> web.StreamResponse:
    """Keeps the manager from ending while it is spoken to. A mere listener does not count."""
    activity = request.app[ACTIVITY]
    activity.last = time.monotonic()
    counts = not request.path.startswith("/events/")
    activity.open += counts
    try:
        return await handler(request)
    finally:
        activity.open -= counts
        activity.last = time.monotonic()


async def version(request: web.Request) -> web.Response:
    """GET /: the API version this speaks (the only open route)."""
    about = {"package": __version__, "protocol": PROTOCOL}
    return session.answer({"version": API_VERSION, "manager": __version__, "jupyter_sessions": about})


async def check_presets(request: web.Request) -> web.Response:
    """POST /resource/check-presets: what there is and what is free. Source: managers 23.09 to 26.8."""
    sessions = request.app[session.SESSIONS]
    total = {"cpu": Decimal(0), "mem": Decimal(0), GPU_SLOT: Decimal(0)} | sessions.capacity.slots
    using = {name: Decimal(str(sessions.used().get(name, 0))) for name in total}
    limits = {name: str(amount) for name, amount in total.items()}
    used = {name: str(amount) for name, amount in using.items()}
    free = {name: str(max(total[name] - using[name], Decimal(0))) for name in total}
    group = {"using": used, "remaining": free}
    return session.answer(
        {
            "presets": [],
            "keypair_limits": limits,
            "keypair_using": used,
            "keypair_remaining": free,
            "group_limits": limits,
            "group_using": used,
            "group_remaining": free,
            "scaling_group_remaining": free,
            "scaling_groups": {"default": group},
        }
    )


def make_app(store: Store, sessions: Sessions) -> web.Application:
    """The manager's application."""
    app = web.Application(
        client_max_size=BODY_BYTES, middlewares=[problems.middleware, note_activity, auth.middleware]
    )
    app[auth.STORE] = store
    app[session.SESSIONS] = sessions
    app[ACTIVITY] = Activity()
    app.add_routes(
        [
            web.get("/", version),
            web.post("/session", session.create),
            web.post("/session/_/create", session.create),
            web.get("/session/{ref}", session.info),
            web.patch("/session/{ref}", session.restart),
            web.delete("/session/{ref}", session.destroy),
            web.post("/session/{ref}", execute.execute),
            web.post("/session/{ref}/interrupt", execute.interrupt),
            web.post("/session/{ref}/rename", session.rename),
            web.get("/session/{ref}/logs", session.logs),
            web.post("/session/{ref}/start-service", execute.start_service),
            web.get("/session/{ref}/service-log", execute.service_log),
            web.get("/events/session", events.session_events),
            web.post("/admin/gql", graphql.graphql),
            web.post("/resource/check-presets", check_presets),
        ]
    )
    return app


async def serve(app: web.Application, socket: str) -> tuple[web.AppRunner, str]:
    """Listen on a unix socket and on a free loopback port; the runner and the port's URL."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.UnixSite(runner, socket).start()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[-1][1]
    return runner, f"http://127.0.0.1:{port}"


async def until_idle(app: web.Application, seconds: float) -> None:
    """Return once nothing lives and nobody has spoken for that long."""
    sessions, activity = app[session.SESSIONS], app[ACTIVITY]
    while sessions.in_care or activity.idle_seconds() < seconds:
        sessions.save()
        await asyncio.sleep(min(seconds, 5.0))
