"""What all our handlers share: who may call them, and how they report errors."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, TypeVar, cast

import msgspec
from jupyter_server.auth.identity import User
from jupyter_server.base.handlers import APIHandler
from msgspec import structs
from tornado.web import HTTPError

from jupyter_sessions.errors import SessionError
from jupyter_sessions.server import reading
from jupyter_sessions.server.access import ScopedToken
from jupyter_sessions.server.bodies import Problem
from jupyter_sessions.server.operation import operation_of
from jupyter_sessions.server.proxy import SERVICES_KEY
from jupyter_sessions.service import SessionService

TOKEN = "jupyter_sessions_token"  # noqa: S105
T = TypeVar("T", bound=msgspec.Struct)
_SLICE = 500
"""How many items of a list are encoded before the event loop serves other requests."""

_REFUSALS = {
    401: ("You are not logged in to the Jupyter server.", "Log in, or send the server's token."),
    403: ("The Jupyter server does not allow this.", "Log in, or ask its administrator."),
    404: ("There is nothing at this address.", "Compare the address with the documentation."),
    405: ("This address does not support that method.", "Compare the method with the documentation."),
}
_FAILURE = ("Something failed in the Jupyter server.", "See the server's log for details.")


class BaseHandler(APIHandler):
    """The base of our handlers, which accepts the scoped token as well as Jupyter's own authentication.

    `scoped` says whether the request came with the scoped token.
    """

    auth_resource = "jupyter_sessions"
    scoped = False

    @property
    def service(self) -> SessionService:
        """Return the service with all backends. Errors: InvalidRequest if the configuration cannot be used."""
        made = self.settings[SERVICES_KEY]
        if isinstance(made, SessionError):
            raise made
        return cast("SessionService", made)

    async def prepare(self) -> None:  # type: ignore[override]
        """Authenticate the request by the scoped token if it has one, otherwise as Jupyter does."""
        token: ScopedToken = self.settings[TOKEN]
        if not token.matches(self.request.headers.get("Authorization", "")):
            await super().prepare()
            return
        if not self.check_host():
            raise HTTPError(403)
        self.scoped = True
        self.current_user = User(username="jupyter_sessions", name="A kernel of this server")

    def check_xsrf_cookie(self) -> None:
        """Check the XSRF cookie as Jupyter does, except with the scoped token, which no other site can know."""
        if not self.scoped:
            super().check_xsrf_cookie()

    def answer(self, body: object, status: int = 200) -> None:
        """Finish the response with a JSON body."""
        self.set_status(status)
        self.finish(msgspec.json.encode(body))

    def argument(self, name: str) -> str:
        """Return a query parameter, "" if it is absent. The description of the method must name the parameter."""
        method = operation_of(getattr(self, (self.request.method or "").lower()))
        if method is None or name not in method.query:
            raise LookupError(f"{type(self).__name__} does not describe the parameter '{name}'")
        return self.get_query_argument(name, "") or ""

    async def answer_long(self, body: msgspec.Struct, name: str) -> None:
        """Finish the response with JSON whose list `name` may be long.

        The event loop serves other requests while the list is encoded.
        """
        items: list[object] = getattr(body, name)
        empty = f'"{name}":['.encode()
        head, _, rest = msgspec.json.encode(structs.replace(body, **{name: []})).partition(empty + b"]")
        self.write(head + empty)
        for start in range(0, len(items), _SLICE):
            await asyncio.sleep(0)
            part = msgspec.json.encode(items[start : start + _SLICE])[1:-1]
            self.write(b"," + part if start else part)
        self.finish(b"]" + rest)

    def read(self, kind: type[T], *, most: int = reading.MOST_BYTES) -> T:
        """Decode the request's JSON body of at most `most` bytes. Errors: InvalidRequest naming the field."""
        return reading.read(self.request.body, kind, most=most)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer every error as `{message, reason, hint?, field?}`, without internal details."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, SessionError):
            self.set_status(error.status)
            self.finish(msgspec.json.encode(Problem(**error.to_wire())))
            return
        message, hint = _REFUSALS.get(status_code, _FAILURE)
        if isinstance(error, HTTPError) and status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            message = error.get_message() or message
        self.finish(msgspec.json.encode(Problem(message, _reason(status_code), hint)))

    def log_exception(self, *args: Any) -> None:
        """Log an exception, but not the mistakes of clients."""
        if isinstance(args[1], SessionError) and args[1].status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        super().log_exception(*args)


class UnknownHandler(BaseHandler):
    """Answers all addresses below ours that have no route."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Answer 404, or 403 to a client without access."""
        await super().prepare()
        raise HTTPError(404 if self.current_user else 403)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.title().replace(" ", "")
    except ValueError:
        return "Error"
