"""What is true of all our handlers: who may call them, and how they say errors."""

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
"""How many items of a list are encoded before others have their turn."""

_REFUSALS = {
    401: ("You are not logged in to the Jupyter server.", "Log in, or send the server's token."),
    403: ("The Jupyter server does not allow you this.", "Log in, or ask who runs it."),
    404: ("There is nothing at this address.", "Compare it with the documentation."),
    405: ("This address does not know that method.", "Compare it with the documentation."),
}
_FAILURE = ("Something failed in the Jupyter server.", "Its log says more.")


class BaseHandler(APIHandler):
    """A handler of ours. Requests with the scoped token are let in here; others go Jupyter's way.

    `scoped` tells which of the two it was.
    """

    auth_resource = "jupyter_sessions"
    scoped = False

    @property
    def service(self) -> SessionService:
        """All backends. Errors: InvalidRequest if the configuration cannot be used."""
        made = self.settings[SERVICES_KEY]
        if isinstance(made, SessionError):
            raise made
        return cast("SessionService", made)

    async def prepare(self) -> None:  # type: ignore[override]
        """Authenticate: by the scoped token if one is shown, else as Jupyter does."""
        token: ScopedToken = self.settings[TOKEN]
        if not token.matches(self.request.headers.get("Authorization", "")):
            await super().prepare()
            return
        if not self.check_host():
            raise HTTPError(403)
        self.scoped = True
        self.current_user = User(username="jupyter_sessions", name="A kernel of this server")

    def check_xsrf_cookie(self) -> None:
        """Needless with the scoped token, which no other site can know; else as Jupyter does."""
        if not self.scoped:
            super().check_xsrf_cookie()

    def answer(self, body: object, status: int = 200) -> None:
        """Finish with JSON."""
        self.set_status(status)
        self.finish(msgspec.json.encode(body))

    def argument(self, name: str) -> str:
        """Return a query parameter that the method's description names; "" if it is absent."""
        method = operation_of(getattr(self, (self.request.method or "").lower()))
        if method is None or name not in method.query:
            raise LookupError(f"{type(self).__name__} does not describe the parameter '{name}'")
        return self.get_query_argument(name, "") or ""

    async def answer_long(self, body: msgspec.Struct, name: str) -> None:
        """Finish with JSON whose list of that name may be long: others have their turn while it is encoded."""
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
        """Every error as `{message, reason, hint?, field?}`; nothing of the inside is shown."""
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
        """What a person did wrong is no fault to log with a traceback."""
        if isinstance(args[1], SessionError) and args[1].status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        super().log_exception(*args)


class UnknownHandler(BaseHandler):
    """All that is below our address and is nothing else."""

    async def prepare(self) -> None:  # type: ignore[override]
        """Say that there is nothing, to whoever may know."""
        await super().prepare()
        raise HTTPError(404 if self.current_user else 403)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase.title().replace(" ", "")
    except ValueError:
        return "Error"
