"""Answers of the proxy in place of a service's, for people and for programs."""

from __future__ import annotations

from http.client import responses
from typing import Any

from tornado import web

from jupyter_sessions.errors import NoRoom, ServiceEnded, SessionError


class Refusal(web.HTTPError):
    """An answer of the proxy itself; `kind` is the error's name for programs."""

    def __init__(self, status: int, message: str, *, kind: str = "", hint: str = "") -> None:
        super().__init__(status, "%s", message)
        self.message = message
        self.kind = kind or responses.get(status, "Error").replace(" ", "")
        self.hint = hint

    @classmethod
    def because(cls, error: SessionError) -> Refusal:
        """Return the refusal for a SessionError."""
        kind = next((kind for type_, kind in _OFFERS.items() if isinstance(error, type_)), cls)
        return kind(error.status, error.message, kind=error.reason, hint=error.hint)

    @classmethod
    def of(cls, status: int, error: BaseException | None) -> Refusal:
        """Return the refusal for any error, without internal details."""
        if isinstance(error, Refusal):
            return error
        if isinstance(error, web.HTTPError) and status < 500:
            return cls(status, error.get_message() or responses.get(status, "Refused."))
        return cls(
            status, "Something failed in the Jupyter server.", hint="See the server's log for details."
        )

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON body of this refusal."""
        body = {"message": self.message, "reason": self.kind}
        return body | ({"hint": self.hint} if self.hint else {})


class NoRoomRefusal(Refusal):
    """The refusal of a service that does not fit into its session's memory, but can be started anyway."""


class EndedRefusal(Refusal):
    """The refusal of a service that has ended, but can be started again."""


def broken_off() -> Refusal:
    """Return the refusal for a service that accepts connections and then fails."""
    said = "The service broke off before it answered."
    return Refusal(502, said, kind="BadAnswer", hint="Try again, or restart the session.")


class NotListening(Refusal):
    """The refusal for a service that does not accept connections yet.

    A service whose name is a number is a port, on which the person's own program will listen.
    """

    def __init__(self, service: str, session: str) -> None:
        said, hint = f"{service} in session {session} is starting.", "Try again in a few seconds."
        if service.isdigit():
            said, hint = (
                f"Waiting for your program to listen on port {service}.",
                "Start the program in the session.",
            )
        super().__init__(503, said, kind="ServiceStarting", hint=hint)


_OFFERS: dict[type[SessionError], type[Refusal]] = {NoRoom: NoRoomRefusal, ServiceEnded: EndedRefusal}
"""Refusals after which a person can start the service all the same."""
