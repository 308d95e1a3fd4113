"""The handlers of the REST API at ``/jupyter-sessions/``."""

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
    Replicas,
    SessionChanges,
    SessionFields,
    SessionList,
    SessionOfKernel,
    SessionPatch,
)
from jupyter_sessions.server.files import FileContentHandler, FilesHandler
from jupyter_sessions.server.kernelspecs import KernelspecHandler, KernelspecsHandler
from jupyter_sessions.server.operation import PlainText, operation
from jupyter_sessions.server.reading import chosen, flag, whole_number
from jupyter_sessions.server.services import ServiceHandler, ServiceLogHandler, ServicesHandler
from jupyter_sessions.server.streams import EventsHandler, ExecuteHandler
from jupyter_sessions.service import Change, Defaults
from jupyter_sessions.service.order import NEWEST, check_fields
from jupyter_sessions.wire.access import PROTOCOL
from jupyter_sessions.wire.releases import installed
from jupyter_sessions.wire.spec_limits import check_size

OPENAPI = Path(__file__).parent / "openapi.yaml"
"""The file that describes this API; `openapi` generates it."""
YAML = "application/yaml"
"""The media type of YAML (RFC 9512)."""

_ACTIONS = 'Give {"action": "restart"}, {"action": "renew"} or {"name": …}.'

_LIST = {
    "status": (str, '"live" (the default), "running", "dead", "all", or statuses separated by commas.'),
    "backend": (str, "Return only the sessions of this backend."),
    "access_key": (str, "Return the sessions of this access key; only administrators see those of others."),
    "everyone": (
        bool,
        "Return what may be seen of everyone's sessions, where a backend lists only your own otherwise.",
    ),
    "limit": (int, "The most sessions to return."),
    "offset": (int, "The number of sessions to skip at the beginning."),
    "order": (
        str,
        f'The fields to sort by, separated by commas, with a "-" in front for descending order; `{NEWEST}` by default.',
    ),
    "fields": (str, "Fields separated by commas: rows have only these fields, `backend` and `id`."),
    "details": (
        str,
        "Further fields, separated by commas, to request from backends beyond those of any list.",
    ),
    "since": (int, "A revision: return only later changes, as long as they are known."),
    "epoch": (str, "The epoch of that revision."),
}
_END = {
    "forced": (bool, "End at once, without the grace period; required after the error `NeedsForce`."),
    "recursive": (bool, "Also end the sessions that depend on this one."),
}
_SELECTION = {
    "since": (int, "Return only executions after this number."),
    "last": (int, "Of these, return only so many of the latest."),
    "number": (int, "Return only the execution with this number."),
    "heads": (bool, "Leave out the outputs of the executions."),
}


class AboutHandler(BaseHandler):
    """The versions of this extension."""

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
        """List sessions, or with `since` and `epoch` only the changes after that revision."""
        feed = self.service.feed
        epoch, rev = feed.epoch, feed.rev
        changes = self._changes()
        if changes is not None:
            told = await self.service.expiries_and_notices()
            self.answer(SessionChanges(epoch, rev, changes, feed.errors, **told))
            return
        limit, fields = self.argument("limit"), _names(self.argument("fields"))
        listing = await self.service.list(
            status=self.argument("status") or "live",
            backend=self.argument("backend") or None,
            limit=whole_number("limit", limit) if limit else None,
            offset=whole_number("offset", self.argument("offset") or "0"),
            order=self.argument("order") or NEWEST,
            access_key=self.argument("access_key") or None,
            everyone=flag("everyone", self.argument("everyone")),
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
        """Request a session, and return its row and address at once.

        A relative folder is resolved below the server's root folder.
        """
        check_size(self.request.body)
        row = await self.service.create(self.read(SessionSpec))
        place = f"sessions/{quote(row.backend, safe='')}/{quote(row.id, safe='')}"
        self.set_header("Location", f"{self.base_url}jupyter-sessions/{place}")
        self.answer(row, 202)


class ReplicasHandler(BaseHandler):
    """Several sessions alike."""

    @web.authenticated
    @authorized
    @operation({202: Replicas}, body=SessionSpec)
    async def post(self) -> None:
        """Request as many sessions as the spec has `replicas`, named NAME-1 to NAME-N.

        Answers 501 if the backend has no request for several: then each is to be created by itself.
        """
        check_size(self.request.body)
        self.answer(Replicas(await self.service.create_many(self.read(SessionSpec))), 202)


class SessionHandler(BaseHandler):
    """A session."""

    @web.authenticated
    @authorized
    @operation({200: SessionInfo})
    async def get(self, backend: str, id: str) -> None:
        """Return a session, even after its end."""
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
        """End a session: 202 while it is ending, 200 if it has ended or was cancelled before its start."""
        flags = {name: flag(name, self.argument(name)) for name in _END}
        row = await self.service.destroy(backend, id, **flags)
        self.answer(row, 202 if row.live else 200)


class DefaultsHandler(BaseHandler):
    """The defaults that complete a spec."""

    @web.authenticated
    @authorized
    @operation({200: Defaults})
    async def get(self) -> None:
        """Return the default backend, the presets, and whether files are kept, without contacting backends."""
        self.answer(await self.service.defaults())


class LogsHandler(BaseHandler):
    """The output of a session's processes."""

    @web.authenticated
    @authorized
    @operation({200: Logs})
    async def get(self, backend: str, id: str) -> None:
        """Return the newest part of a session's output."""
        self.answer(Logs(await self.service.logs(backend, id)))


class HistoryHandler(BaseHandler):
    """The events of a session."""

    @web.authenticated
    @authorized
    @operation({200: History})
    async def get(self, backend: str, id: str) -> None:
        """Return the events of a session, the oldest first."""
        self.answer(History(await self.service.events(backend, id)))


class OutputsHandler(BaseHandler):
    """The output of a session by execution."""

    @web.authenticated
    @authorized
    @operation({200: Outputs}, query=_SELECTION)
    async def get(self, backend: str, id: str) -> None:
        """Return the outputs of all executions in a session, or of those that the query selects."""
        which = read_selection({name: self.argument(name) for name in _SELECTION})
        self.answer(await self.service.outputs(backend, id, which))


class InterruptHandler(BaseHandler):
    """Interrupts the running code of a session."""

    @web.authenticated
    @authorized
    @operation({204: None})
    async def post(self, backend: str, id: str) -> None:
        """Interrupt the running code of a session."""
        await self.service.interrupt(backend, id)
        self.set_status(204)
        self.finish()


class InputHandler(BaseHandler):
    """Answers code that asks for input."""

    @web.authenticated
    @authorized
    @operation({204: None}, body=InputReply)
    async def post(self, backend: str, id: str) -> None:
        """Answer the input request of a run."""
        asked = self.read(InputReply)
        await self.service.input(backend, id, asked.run, asked.text)
        self.set_status(204)
        self.finish()


class ConnectionHandler(BaseHandler):
    """The address and key of a session's kernel, for kernels of this server, never for pages."""

    @web.authenticated
    @authorized
    @operation({200: KernelConnection}, body=ConnectionRequest, caller="kernel")
    async def post(self, backend: str, id: str) -> None:
        """Return how to reach a session's kernel, including the key that signs messages."""
        if not self.scoped:
            raise Forbidden("Only kernels of this server may read the key of a session.")
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
    """Redirects requests at the root of a session's Jupyter to its base path."""

    def initialize(self, base_url: str) -> None:
        """Set the base path."""
        self._base_url = base_url

    def prepare(self) -> None:
        """Redirect the request, keeping its method and body."""
        self.redirect(self._base_url + (self.request.uri or "").lstrip("/"), status=307)

    def check_xsrf_cookie(self) -> None:
        """Skip the check, which the target of the redirect does."""


def _names(text: str, parameter: str = "fields", more: Sequence[str] = ()) -> list[str]:
    """Parse field names separated by commas; backend and id are always included."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    check_fields(names, parameter, more)
    return ["backend", "id", *names] if names else []


_ONE = r"(?P<backend>[^/]+)/(?P<id>[^/]+)"
ROUTES: list[tuple[str, type[BaseHandler]]] = [
    (r"", AboutHandler),
    (r"/sessions", SessionsHandler),
    (r"/replicas", ReplicasHandler),
    (rf"/sessions/{_ONE}", SessionHandler),
    (rf"/sessions/{_ONE}/logs", LogsHandler),
    (rf"/sessions/{_ONE}/events", HistoryHandler),
    (rf"/sessions/{_ONE}/outputs", OutputsHandler),
    (rf"/sessions/{_ONE}/execute", ExecuteHandler),
    (rf"/sessions/{_ONE}/interrupt", InterruptHandler),
    (rf"/sessions/{_ONE}/input", InputHandler),
    (rf"/sessions/{_ONE}/files", FilesHandler),
    (rf"/sessions/{_ONE}/files/content", FileContentHandler),
    (rf"/sessions/{_ONE}/connection", ConnectionHandler),
    (rf"/sessions/{_ONE}/services", ServicesHandler),
    (rf"/sessions/{_ONE}/services/(?P<name>[^/]+)", ServiceHandler),
    (rf"/sessions/{_ONE}/services/(?P<name>[^/]+)/log", ServiceLogHandler),
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
    """Return our routes for a server's application."""
    prefix = re.escape(base_url.rstrip("/")) + "/jupyter-sessions"
    return [(prefix + pattern, handler) for pattern, handler in ROUTES]


def from_the_root(base_url: str) -> list[Any]:
    """Return routes that redirect from the root to the base path of a session's Jupyter.

    Clients of a tunnel expect Jupyter at the root.
    """
    elsewhere = rf"/(?!{re.escape(base_url.strip('/'))}(?:/|$)).*"
    return [(elsewhere, RootHandler, {"base_url": base_url})]


def unknown(base_url: str) -> list[Any]:
    """Return the route for all other addresses below ours; it must be added last."""
    return [(re.escape(base_url.rstrip("/")) + r"/jupyter-sessions(?:/.*)?", UnknownHandler)]
