"""The REST API at ``/jupyter-sessions/``: each handler reads, calls one thing, and answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from msgspec import structs
from tornado import web

from jupyter_sessions._version import __version__
from jupyter_sessions.channels.journal_messages import Outputs, read_selection
from jupyter_sessions.errors import Forbidden, InvalidRequest
from jupyter_sessions.kernels.session_kernels import current
from jupyter_sessions.model import RESERVED_FIELDS, KernelConnection, SessionInfo, SessionSpec
from jupyter_sessions.server import proxy
from jupyter_sessions.server.backends import (
    BackendHandler,
    BackendsHandler,
    SignInHandler,
    TakeoverHandler,
)
from jupyter_sessions.server.base import BaseHandler, UnknownHandler
from jupyter_sessions.server.bodies import (
    About,
    ConnectionRequest,
    History,
    InputReply,
    Logs,
    ServiceStarted,
    SessionChanges,
    SessionFields,
    SessionList,
    SessionOfKernel,
    SessionPatch,
)
from jupyter_sessions.server.kernelspecs import KernelspecHandler, KernelspecsHandler
from jupyter_sessions.server.operation import PlainText, operation
from jupyter_sessions.server.proxy.shared_origin import key_of
from jupyter_sessions.server.reading import chosen, flag, whole_number
from jupyter_sessions.server.streams import EventsHandler, ExecuteHandler
from jupyter_sessions.service import Change, Defaults
from jupyter_sessions.service.order import NEWEST, check_fields
from jupyter_sessions.wire.access import PROTOCOL
from jupyter_sessions.wire.releases import installed
from jupyter_sessions.wire.spec_limits import check_size

OPENAPI = Path(__file__).parent / "openapi.yaml"
"""The file that describes this API; `openapi` generates it."""
YAML = "application/yaml"
"""RFC 9512."""

_ACTIONS = 'Give {"action": "restart"}, {"action": "renew"} or {"name": …}.'

_LIST = {
    "status": (str, '"live" (the default), "running", "dead", "all", or a comma list of statuses.'),
    "backend": (str, "Only the sessions of this backend."),
    "limit": (int, "How many sessions to return at most."),
    "offset": (int, "How many sessions to leave out at the beginning."),
    "order": (str, f'A field to sort by, backwards with a "-" before it; `{NEWEST}` is the default.'),
    "fields": (str, "A comma list of fields: rows have only these, and `backend` and `id`."),
    "details": (str, "A comma list of fields to ask backends for beyond those that lists tell anyway."),
    "since": (int, "A revision: only what has changed after it is returned, as long as that is known."),
    "epoch": (str, "The epoch of that revision."),
}
_END = {
    "forced": (bool, "Leave out the grace time; needed where a refusal has the reason `NeedsForce`."),
    "recursive": (bool, "Also end the sessions that depend on this one."),
}
_START = {"forced": (bool, "Start the service even if the session's memory is too little (`NoRoom`).")}
_SELECTION = {
    "since": (int, "Only executions after the one of this number."),
    "last": (int, "Of these only so many, the latest."),
    "number": (int, "Only the execution of this number."),
    "heads": (bool, "Leave out what the executions printed."),
}


class AboutHandler(BaseHandler):
    """What this is."""

    @web.authenticated
    @authorized
    @operation({200: About})
    async def get(self) -> None:
        """Return the versions of the package and of the REST protocol."""
        self.answer(About(__version__, installed(), PROTOCOL))


class OpenApiHandler(BaseHandler):
    """The description of this API."""

    @web.authenticated
    @authorized
    @operation({200: PlainText(YAML)})
    async def get(self) -> None:
        """Return the OpenAPI file of this API."""
        self.finish(OPENAPI.read_bytes(), set_content_type=YAML)


class SessionsHandler(BaseHandler):
    """All sessions."""

    @web.authenticated
    @authorized
    @operation({200: (SessionList, SessionFields, SessionChanges)}, query=_LIST)
    async def get(self) -> None:
        """List sessions, or with `since` and `epoch` only what has changed since then."""
        feed = self.service.feed
        epoch, rev = feed.epoch, feed.rev
        changes = self._changes()
        if changes is not None:
            told = await self.service.told()
            self.answer(SessionChanges(epoch, rev, changes, feed.errors, **told))
            return
        limit, fields = self.argument("limit"), _names(self.argument("fields"))
        listing = await self.service.list(
            status=self.argument("status") or "live",
            backend=self.argument("backend") or None,
            limit=whole_number("limit", limit) if limit else None,
            offset=whole_number("offset", self.argument("offset") or "0"),
            order=self.argument("order") or NEWEST,
            fields=[*fields, *_names(self.argument("details"), "details", RESERVED_FIELDS)],
        )
        if fields:
            rows = [chosen(row, fields) for row in listing.sessions]
            self.answer(SessionFields(epoch, rev, rows, listing.errors, listing.expiries, listing.notices))
        else:
            await self.answer_long(SessionList(epoch, rev, *structs.astuple(listing)), "sessions")

    def _changes(self) -> list[Change] | None:
        since, epoch = self.argument("since"), self.argument("epoch")
        if not since or not epoch:
            return None
        self.service.look()
        return self.service.feed.since(epoch, whole_number("since", since))

    @web.authenticated
    @authorized
    @operation({202: SessionInfo}, body=SessionSpec)
    async def post(self) -> None:
        """Ask for a session, and return its row and place at once. A relative folder is below the server's root."""
        check_size(self.request.body)
        row = await self.service.create(self.read(SessionSpec))
        place = f"sessions/{quote(row.backend, safe='')}/{quote(row.id, safe='')}"
        self.set_header("Location", f"{self.base_url}jupyter-sessions/{place}")
        self.answer(row, 202)


class SessionHandler(BaseHandler):
    """One session."""

    @web.authenticated
    @authorized
    @operation({200: SessionInfo})
    async def get(self, backend: str, id: str) -> None:
        """Return a session, also after its end."""
        self.answer(await self.service.get(backend, id))

    @web.authenticated
    @authorized
    @operation({200: SessionInfo}, body=SessionPatch)
    async def patch(self, backend: str, id: str) -> None:
        """Restart, renew or rename a session."""
        asked = self.read(SessionPatch)
        if asked.name is not None and asked.action is None:
            self.answer(await self.service.rename(backend, id, asked.name))
        elif asked.action == "restart" and asked.name is None:
            self.answer(await self.service.restart(backend, id))
        elif asked.action == "renew" and asked.name is None:
            self.answer(await self.service.renew(backend, id))
        else:
            raise InvalidRequest(
                "The request names no action, or more than one.", hint=_ACTIONS, field="action"
            )

    @web.authenticated
    @authorized
    @operation({200: SessionInfo, 202: SessionInfo}, query=_END)
    async def delete(self, backend: str, id: str) -> None:
        """End a session: 202 while it ends, 200 if it has ended, or was cancelled before it began."""
        flags = {name: flag(name, self.argument(name)) for name in _END}
        row = await self.service.destroy(backend, id, **flags)
        self.answer(row, 202 if row.live else 200)


class DefaultsHandler(BaseHandler):
    """What fills in a spec."""

    @web.authenticated
    @authorized
    @operation({200: Defaults})
    async def get(self) -> None:
        """Return the default backend, the presets and what becomes of files; no backend is asked."""
        self.answer(await self.service.defaults())


class LogsHandler(BaseHandler):
    """What a session printed."""

    @web.authenticated
    @authorized
    @operation({200: Logs})
    async def get(self, backend: str, id: str) -> None:
        """Return the newest part of what a session printed."""
        self.answer(Logs(await self.service.logs(backend, id)))


class HistoryHandler(BaseHandler):
    """What has happened to a session."""

    @web.authenticated
    @authorized
    @operation({200: History})
    async def get(self, backend: str, id: str) -> None:
        """Return what has happened to a session, oldest first."""
        self.answer(History(await self.service.events(backend, id)))


class OutputsHandler(BaseHandler):
    """What a session printed, by execution."""

    @web.authenticated
    @authorized
    @operation({200: Outputs}, query=_SELECTION)
    async def get(self, backend: str, id: str) -> None:
        """Return the outputs of all executions in a session, or of those that the query names."""
        which = read_selection({name: self.argument(name) for name in _SELECTION})
        self.answer(await self.service.outputs(backend, id, which))


class InterruptHandler(BaseHandler):
    """Interrupts what runs in a session."""

    @web.authenticated
    @authorized
    @operation({204: None})
    async def post(self, backend: str, id: str) -> None:
        """Interrupt what runs in a session."""
        await self.service.interrupt(backend, id)
        self.set_status(204)
        self.finish()


class InputHandler(BaseHandler):
    """Answers to code that asks for input."""

    @web.authenticated
    @authorized
    @operation({204: None}, body=InputReply)
    async def post(self, backend: str, id: str) -> None:
        """Answer a run that asks for input."""
        asked = self.read(InputReply)
        await self.service.input(backend, id, asked.run, asked.text)
        self.set_status(204)
        self.finish()


class StartServiceHandler(BaseHandler):
    """A service of a session."""

    @web.authenticated
    @authorized
    @operation({202: ServiceStarted, 303: None}, query=_START)
    async def post(self, backend: str, id: str, name: str) -> None:
        """Start a service of a session, and return its place; the form of a page is redirected there."""
        key = key_of(self)
        place = "/".join(quote(part, safe="") for part in (*([f"~{key}"] if key else []), backend, id, name))
        url = f"{self.base_url}{proxy.ROOT}{place}/"
        forced = flag("forced", self.argument("forced"))
        await self.service.open_service(backend, id, name, url, forced=forced)
        if self.request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded"):
            self.redirect(url, status=303)
        else:
            self.answer(ServiceStarted(name, url), 202)


class ConnectionHandler(BaseHandler):
    """Where front ends reach a session's kernel, with the key; for kernels of this server, never for pages."""

    @web.authenticated
    @authorized
    @operation({200: KernelConnection}, body=ConnectionRequest, caller="kernel")
    async def post(self, backend: str, id: str) -> None:
        """Return how to reach a session's kernel, with the key that signs messages."""
        if not self.scoped:
            raise Forbidden("A session's key is only told to kernels of this server.")
        asked = self.read(ConnectionRequest)
        self.answer(await self.service.connection(backend, id, asked.owner, asked.patience))


class KernelHandler(BaseHandler):
    """A kernel of this server."""

    @web.authenticated
    @authorized
    @operation({200: SessionOfKernel})
    async def get(self, kernel_id: str) -> None:
        """Return the session that a kernel of this server runs in."""
        row = current().session_of(kernel_id)
        self.answer(SessionOfKernel(row.backend, row.id) if row else SessionOfKernel(None, None))


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
    (rf"/sessions/{_ONE}/services/(?P<name>[^/]+)", StartServiceHandler),
    (r"/kernels/(?P<kernel_id>[^/]+)", KernelHandler),
    (r"/backends", BackendsHandler),
    (r"/backends/(?P<backend>[^/]+)", BackendHandler),
    (r"/backends/(?P<backend>[^/]+)/sign-in", SignInHandler),
    (r"/backends/(?P<backend>[^/]+)/takeover", TakeoverHandler),
    (r"/defaults", DefaultsHandler),
    (r"/openapi\.yaml", OpenApiHandler),
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
