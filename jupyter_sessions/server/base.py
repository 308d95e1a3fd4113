"""What is true of all our handlers: who may call them, and how they say errors."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, TypeVar, cast

import msgspec
from jupyter_server.auth.identity import User
from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from jupyter_sessions.errors import InvalidRequest, SessionError
from jupyter_sessions.server.access import ScopedToken
from jupyter_sessions.service import Service

SERVICE = "jupyter_sessions_service"
TOKEN = "jupyter_sessions_token"  # noqa: S105
T = TypeVar("T")


class BaseHandler(APIHandler):
    """A handler of ours. Requests with the scoped token are let in here; others go Jupyter's way."""

    auth_resource = "jupyter_sessions"
    _scoped = False

    @property
    def service(self) -> Service:
        """All backends."""
        return cast(Service, self.settings[SERVICE])

    async def prepare(self) -> None:
        """Authenticate: by the scoped token if one is shown, else as Jupyter does."""
        token: ScopedToken = self.settings[TOKEN]
        if token.matches(self.request.headers.get("Authorization", "")):
            if not self.check_host():
                raise HTTPError(403)
            self._scoped = True
            self.current_user = User(username="jupyter_sessions", name="A kernel of this server")
            return
        await super().prepare()

    def check_xsrf_cookie(self) -> None:
        """Needless with the scoped token, which no other site can know; else as Jupyter does."""
        if not self._scoped:
            super().check_xsrf_cookie()

    def answer(self, body: object, status: int = 200) -> None:
        """Finish with JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(msgspec.json.encode(body))

    def read(self, kind: type[T]) -> T:
        """The request's JSON body. Errors: InvalidRequest naming the field."""
        try:
            return msgspec.json.decode(self.request.body or b"{}", type=kind)
        except msgspec.ValidationError as error:
            text, _, path = str(error).partition(" - at `$.")
            field = path.rstrip("`").partition(".")[0] or text.rpartition("field `")[2].rstrip("`")
            raise InvalidRequest(f"{text}.", hint=_HINT, field=field if "`" in str(error) else "") from None
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"The request is no JSON: {error}.", hint=_HINT) from None

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Every error as `{message, reason, hint?, field?}`; nothing of the inside is shown."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        self.set_header("Content-Type", "application/json")
        if isinstance(error, SessionError):
            self.set_status(error.status)
            body = error.to_wire()
        else:
            said = (error.log_message or error.reason) if isinstance(error, HTTPError) else None
            body = {"message": said or _phrase(status_code), "reason": _phrase(status_code)}
        self.finish(msgspec.json.encode(body))

    def log_exception(self, *args: Any) -> None:
        """What a person did wrong is no fault to log with a traceback."""
        if isinstance(args[1], SessionError) and args[1].status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return
        super().log_exception(*args)


_HINT = "Correct the request."


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown error"
