"""The REST API at ``/jupyter-sessions/``: each handler reads, calls one thing, and answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from jupyter_server.auth.decorator import authorized
from tornado import web

from jupyter_sessions._version import __version__
from jupyter_sessions.errors import Forbidden, InvalidRequest
from jupyter_sessions.kernels.known import session_of
from jupyter_sessions.model import RESERVED_FIELDS, ProcessId, SessionSpec
from jupyter_sessions.server import proxy
from jupyter_sessions.server.backends import BackendHandler, BackendsHandler, SignInHandler
from jupyter_sessions.server.base import BaseHandler, UnknownHandler
from jupyter_sessions.server.kernelspecs import KernelspecHandler, KernelspecsHandler
from jupyter_sessions.server.proxy.shared_origin import key_of
from jupyter_sessions.server.reading import chosen, flag, whole_number
from jupyter_sessions.server.streams import EventsHandler, ExecuteHandler
from jupyter_sessions.service import Change
from jupyter_sessions.service.order import NEWEST, check_fields
from jupyter_sessions.wire.access import PROTOCOL
from jupyter_sessions.wire.journal import Selection, read_selection
from jupyter_sessions.wire.spec_limits import check_size

_ACTIONS = 'Give {"action": "restart"}, {"action": "renew"} or {"name": …}.'


class Patch(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a PATCH: an action, or a new name."""

    action: str | None = None
    name: str | None = None


class Owner(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request for a connection: whose the session is, and how long that waits for it."""

    owner: ProcessId | None = None
    patience: float = 0


class Input(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an answer to an input request."""

    run: str
    text: str


class AboutHandler(BaseHandler):
    """What this is."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Say the versions of package and protocol."""
        self.answer({"version": __version__, "protocol": PROTOCOL})


class SessionsHandler(BaseHandler):
    """All sessions."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List them, or with `since` and `epoch` what has changed."""
        feed = self.service.feed
        head = {"epoch": feed.epoch, "rev": feed.rev}
        changes = self._changes()
        if changes is not None:
            expiries = await self.service.expiries()
            self.answer(head | {"changes": changes, "errors": feed.errors, "expiries": expiries})
            return
        limit, fields = self._argument("limit"), _names(self._argument("fields"))
        listing = await self.service.list(
            status=self._argument("status") or "live",
            backend=self._argument("backend") or None,
            limit=whole_number("limit", limit) if limit else None,
            offset=whole_number("offset", self._argument("offset") or "0"),
            order=self._argument("order") or NEWEST,
            fields=[*fields, *_names(self._argument("details"), "details", RESERVED_FIELDS)],
        )
        rows = [chosen(row, fields) for row in listing.sessions] if fields else listing.sessions
        self.answer(head | {"sessions": rows, "errors": listing.errors, "expiries": listing.expiries})

    def _changes(self) -> list[Change] | None:
        since, epoch = self._argument("since"), self._argument("epoch")
        if not since or not epoch:
            return None
        self.service.look()
        return self.service.feed.since(epoch, whole_number("since", since))

    def _argument(self, name: str) -> str:
        return self.get_query_argument(name, "") or ""

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Ask for one: 202 with its row and place at once. A relative folder is below the server's root."""
        check_size(self.request.body)
        row = await self.service.create(self.read(SessionSpec))
        place = f"sessions/{quote(row.backend, safe='')}/{quote(row.id, safe='')}"
        self.set_header("Location", f"{self.base_url}jupyter-sessions/{place}")
        self.answer(row, 202)


class SessionHandler(BaseHandler):
    """One session."""

    @web.authenticated
    @authorized
    async def get(self, backend: str, id: str) -> None:
        """What it is, also after its end."""
        self.answer(await self.service.get(backend, id))

    @web.authenticated
    @authorized
    async def patch(self, backend: str, id: str) -> None:
        """Restart, renew or rename it."""
        asked = self.read(Patch)
        if asked.name is not None and asked.action is None:
            self.answer(await self.service.rename(backend, id, asked.name))
        elif asked.action == "restart" and asked.name is None:
            self.answer(await self.service.restart(backend, id))
        elif asked.action == "renew" and asked.name is None:
            self.answer(await self.service.renew(backend, id))
        else:
            raise InvalidRequest("action: say what to do.", hint=_ACTIONS, field="action")

    @web.authenticated
    @authorized
    async def delete(self, backend: str, id: str) -> None:
        """End it: 202 while it ends, 200 if it was cancelled before it began."""
        flags = {name: flag(name, self.get_query_argument(name, "")) for name in ("forced", "recursive")}
        row = await self.service.destroy(backend, id, **flags)
        self.answer(row, 202 if row.live else 200)


class DefaultsHandler(BaseHandler):
    """What fills in a spec."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The default backend, the presets and where files stay; no backend is asked."""
        self.answer(await self.service.defaults())


class LogsHandler(BaseHandler):
    """What a session printed."""

    @web.authenticated
    @authorized
    async def get(self, backend: str, id: str) -> None:
        """Its newest part."""
        self.answer({"logs": await self.service.logs(backend, id)})


class HistoryHandler(BaseHandler):
    """What has happened to a session."""

    @web.authenticated
    @authorized
    async def get(self, backend: str, id: str) -> None:
        """All of it, oldest first."""
        self.answer({"events": await self.service.events(backend, id)})


class OutputsHandler(BaseHandler):
    """What a session printed, by execution."""

    @web.authenticated
    @authorized
    async def get(self, backend: str, id: str) -> None:
        """That of all executions, or of those that the query names; see `Selection`."""
        names = Selection.__struct_fields__
        which = read_selection({name: self.get_query_argument(name, "") for name in names})
        self.answer(await self.service.outputs(backend, id, which))


class InterruptHandler(BaseHandler):
    """Interrupts what runs in a session."""

    @web.authenticated
    @authorized
    async def post(self, backend: str, id: str) -> None:
        """Interrupt it."""
        await self.service.interrupt(backend, id)
        self.set_status(204)
        self.finish()


class InputHandler(BaseHandler):
    """Answers to code that asks for input."""

    @web.authenticated
    @authorized
    async def post(self, backend: str, id: str) -> None:
        """Answer a run."""
        asked = self.read(Input)
        await self.service.input(backend, id, asked.run, asked.text)
        self.set_status(204)
        self.finish()


class ServiceHandler(BaseHandler):
    """A service of a session."""

    @web.authenticated
    @authorized
    async def post(self, backend: str, id: str, name: str) -> None:
        """Start it: 202 with its place, or for the form of a page a redirect to it."""
        key = key_of(self)
        place = "/".join(quote(part, safe="") for part in (*([f"~{key}"] if key else []), backend, id, name))
        url = f"{self.base_url}{proxy.ROOT}{place}/"
        forced = flag("forced", self.get_query_argument("forced", ""))
        await self.service.open_service(backend, id, name, url, forced=forced)
        if self.request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            self.redirect(url, status=303)
        else:
            self.answer({"name": name, "url": url}, 202)


class ConnectionHandler(BaseHandler):
    """Where front ends reach a session's kernel, with the key; for kernels of this server, never for pages."""

    @web.authenticated
    @authorized
    async def post(self, backend: str, id: str) -> None:
        """Connect a notebook."""
        if not self.scoped:
            raise Forbidden("A session's key is only told to kernels of this server.")
        asked = self.read(Owner)
        self.answer(await self.service.connection(backend, id, asked.owner, asked.patience))


class KernelHandler(BaseHandler):
    """A kernel of this server."""

    @web.authenticated
    @authorized
    async def get(self, kernel_id: str) -> None:
        """The session it runs in; nulls for a kernel in none."""
        row = session_of(kernel_id)
        self.answer({"backend": row and row.backend, "id": row and row.id})


class RootHandler(web.RequestHandler):
    """What is asked for at the root of a session's Jupyter is below its path."""

    def initialize(self, base_url: str) -> None:
        """Take that path."""
        self._base_url = base_url

    def prepare(self) -> None:
        """Redirect, with method and body."""
        self.redirect(self._base_url + (self.request.uri or "").lstrip("/"), status=307)

    def check_xsrf_cookie(self) -> None:
        """Nothing: it is checked where this leads to."""


def _names(text: str, parameter: str = "fields", more: Sequence[str] = ()) -> list[str]:
    """A comma list of fields; backend and id are always among them."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    check_fields(names, parameter, more)
    return ["backend", "id", *names] if names else []


_ONE = r"(?P<backend>[^/]+)/(?P<id>[^/]+)"
ROUTES: list[tuple[str, type[BaseHandler]]] = [
    (r"", AboutHandler),
    (r"/sessions", SessionsHandler),
    (rf"/sessions/{_ONE}", SessionHandler),
    (rf"/sessions/{_ONE}/logs", LogsHandler),
    (rf"/sessions/{_ONE}/events", HistoryHandler),
    (rf"/sessions/{_ONE}/outputs", OutputsHandler),
    (rf"/sessions/{_ONE}/execute", ExecuteHandler),
    (rf"/sessions/{_ONE}/interrupt", InterruptHandler),
    (rf"/sessions/{_ONE}/input", InputHandler),
    (rf"/sessions/{_ONE}/connection", ConnectionHandler),
    (rf"/sessions/{_ONE}/services/(?P<name>[^/]+)", ServiceHandler),
    (r"/kernels/(?P<kernel_id>[^/]+)", KernelHandler),
    (r"/backends", BackendsHandler),
    (r"/backends/(?P<backend>[^/]+)", BackendHandler),
    (r"/backends/(?P<backend>[^/]+)/sign-in", SignInHandler),
    (r"/defaults", DefaultsHandler),
    (r"/events", EventsHandler),
    (r"/kernelspecs", KernelspecsHandler),
    (r"/kernelspecs/(?P<name>[^/]+)", KernelspecHandler),
]


def handlers(base_url: str) -> list[Any]:
    """Our routes for a server's application."""
    prefix = re.escape(base_url.rstrip("/")) + "/jupyter-sessions"
    return [(prefix + pattern, handler) for pattern, handler in ROUTES]


def from_the_root(base_url: str) -> list[Any]:
    """Routes that lead who expects a session's Jupyter at the root, as a tunnel's client does, to its path."""
    elsewhere = rf"/(?!{re.escape(base_url.strip('/'))}(?:/|$)).*"
    return [(elsewhere, RootHandler, {"base_url": base_url})]


def unknown(base_url: str) -> list[Any]:
    """What answers where neither we nor the proxy have a route; to be added last."""
    return [(re.escape(base_url.rstrip("/")) + r"/jupyter-sessions(?:/.*)?", UnknownHandler)]
