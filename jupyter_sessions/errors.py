"""The errors of this package, each with an HTTP status and a message for people.

    SessionError                      500  the base of all errors, and any unexpected one
    ├── InvalidRequest                400  a field is missing, malformed or unknown
    │   ├── UnknownImage              400  no such environment; names the nearest ones
    │   └── BadAuthParams             400  the headers that sign a request cannot be read (manager.api.problems)
    ├── Unauthorized                  401  no or wrong credentials
    ├── Forbidden                     403  valid credentials, not allowed
    │   └── NeedsForce                403  only possible by force now
    ├── NotFound                      404  no such thing
    │   ├── SessionNotFound           404
    │   └── UnknownBackend            404
    ├── AlreadyExists                 409  a live session has that name
    ├── Ambiguous                     409  several live sessions match
    ├── NotRunning                    409  not possible in the session's status
    ├── NoRoom                        409  too little memory is left for a service, unless started by force
    ├── ServiceEnded                  409  a service has ended, and starts again only on request
    ├── NotEnough                     412  more than the backend can ever provide
    ├── CellFailed                    422  the code that ran in a session raised
    ├── NotSupported                  501  not supported by the backend
    ├── LaunchFailed                  500  the session's process could not be started
    │   ├── LaunchError               500  the system did not start it (manager.runtime.launch)
    │   │   └── BootstrapFailed       500  its bootstrap script failed (manager.run.member)
    │   ├── LimitsError               500  its limits could not be set (manager.runtime.limits)
    │   │   └── LimitsGroupGone       500  its limits no longer exist (manager.runtime.limits)
    │   ├── KernelKeyLost             500  its kernel's key was lost (manager.endpoints.kernel_link)
    │   └── StoreError                500  the database cannot be read or written (manager.core.store)
    │       └── StoreDamaged          500  the database is damaged (manager.core.store)
    ├── MovedAway                     500  the manager ends so that the next one repairs its files (manager.presence)
    ├── ImpossibleTransition          500  a change that a session cannot make in its status (manager.core.machine)
    ├── SessionErrors                 500  some of several sessions failed; holds what was done, and each error
    ├── BadAnswer                     502  a backend's answer does not follow its protocol
    │   ├── AnswerRefused             502  its answer is too large, cut off or compressed (wire.bounded)
    │   ├── EventTooLarge             502  an event of its stream is too large (wire.sse)
    │   └── LimitExceeded             502  its JSON is nested too deeply or holds too many values (wire.untrusted)
    ├── BackendUnavailable            503  a backend cannot be reached
    │   ├── NotReached                503  no request was sent, so nothing has changed
    │   ├── RateLimited               429  too many requests; the hint says when to try again
    │   └── Unfinished                503  the end of a cell is unknown (service.cells)
    ├── BackendTimeout                504  a backend did not answer in time
    ├── Help                          500  no error: the requested help (commands.grammar)
    └── OutputClosed                  500  the output of a command is closed (commands.terminal)

A class followed by a module is defined there; over the wire it becomes the nearest class that is defined here. Outside
of the tree are interrupts, which are Python's `KeyboardInterrupt`, and errors of the proxy, tornado's `HTTPError`.

Over the wire an error is ``{"message", "reason", "hint"?, "field"?}``; `from_wire` restores it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

_INTERRUPTED = 130
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


class SessionError(Exception):
    """The base of all errors of this package.

    `message` is one sentence for people, `hint` says what to do, and `field` names the parameter it is about.
    """

    status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "", field: str = "", data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.field = field
        self.data = data

    @property
    def reason(self) -> str:
        """The kind of error for programs: the name of the nearest class of this module."""
        return next(kind.__name__ for kind in type(self).__mro__ if kind.__module__ == __name__)

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON body of the error."""
        body: dict[str, Any] = {"message": self.message, "reason": self.reason}
        extra = {"hint": self.hint, "field": self.field, "data": self.data}
        return body | {key: value for key, value in extra.items() if value}

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidRequest(SessionError):
    """A field of the request is missing, malformed or unknown."""

    status = 400


class UnknownImage(InvalidRequest):
    """The backend has no such environment or image."""


class Unauthorized(SessionError):
    """The credentials are missing or wrong."""

    status = 401


class Forbidden(SessionError):
    """The credentials are valid but do not allow the request."""

    status = 403


class NeedsForce(Forbidden):
    """A session in this status can only be ended by force, which interfaces offer."""


class NotFound(SessionError):
    """The requested object does not exist."""

    status = 404


class SessionNotFound(NotFound):
    """No session has this name or id."""


class UnknownBackend(NotFound):
    """No backend with this name is configured."""


class AlreadyExists(SessionError):
    """A live session has this name already; `data` holds its id."""

    status = 409

    @classmethod
    def session(cls, name: str, id: str, *, image: str = "") -> AlreadyExists:
        """Return the error for an existing session. With `image`, the session exists with this other image."""
        of_image = f" with the image '{image}'" if image else ""
        return cls(
            f"A session '{name}' exists already{of_image}.",
            hint="Use another name, or terminate that session.",
            field="name",
            data={"existingSessionId": id},
        )


class Ambiguous(SessionError):
    """Several live sessions match the reference."""

    status = 409


class NotRunning(SessionError):
    """The request is not possible in the session's status."""

    status = 409


class NoRoom(SessionError):
    """The session has too little memory left for a service, which can be started by force.

    `data` holds amounts in bytes: what the service `needs`, what is `left`, and the session's `limit`.
    """

    status = 409


class ServiceEnded(SessionError):
    """A service of a session has failed or was stopped; it starts again only on request, not when its page is loaded."""

    status = 409


class NotEnough(SessionError):
    """The request is for more than the backend can ever provide."""

    status = 412


class CellFailed(SessionError):
    """Code that ran in a session raised: an exception `ename` with the text `evalue`, and the `traceback` from there."""

    status = 422
    ename = ""
    evalue = ""
    traceback: Sequence[str] = ()

    @classmethod
    def of(cls, reply: Mapping[str, Any]) -> Self:
        """Return the error that a kernel's reply to an execute request reports."""
        ename, evalue = str(reply.get("ename", "Error")), str(reply.get("evalue", ""))
        error = cls(f"{ename}: {evalue}" if evalue else ename)
        error.ename, error.evalue = ename, evalue
        error.traceback = [str(line) for line in reply.get("traceback") or [error.message]]
        # Python shows a note below its own traceback.
        error.add_note(_COLORS.sub("", "\n".join(error.traceback)))
        return error

    @property
    def exit_code(self) -> int:
        """The exit code of a program that ends with this exception."""
        if self.ename == "SystemExit":
            is_number = self.evalue.lstrip("-").isdecimal()
            return int(self.evalue) & 0xFF if is_number else int(self.evalue != "None")
        return _INTERRUPTED if self.ename == "KeyboardInterrupt" else 1

    def _render_traceback_(self) -> list[str]:
        return [*self.traceback] or [str(self)]


class NotSupported(SessionError):
    """The backend does not support the request."""

    status = 501


class LaunchFailed(SessionError):
    """The session's process could not be started."""


class SessionErrors(SessionError):
    """Some of several sessions failed, after all had their turn.

    `results` is what the others returned, as the method returns it; `errors` has the error of each session that failed,
    by the session's id, or by the number of the replica, from 1 on.
    """

    def __init__(
        self, message: str, *, results: Any = None, errors: Mapping[Any, SessionError] = {}, **more: Any
    ) -> None:
        super().__init__(message, **more)
        self.results = results
        self.errors = dict(errors)


class BadAnswer(SessionError):
    """A backend's answer does not follow its protocol."""

    status = 502


class BackendUnavailable(SessionError):
    """A backend cannot be reached."""

    status = 503


class NotReached(BackendUnavailable):
    """No request could be sent, so nothing has changed."""


class RateLimited(BackendUnavailable):
    """A backend accepts no more requests for a while; nothing has changed."""

    status = 429


class BackendTimeout(SessionError):
    """A backend did not answer in time."""

    status = 504


_KINDS = {
    kind.__name__: kind
    for kind in globals().values()
    if isinstance(kind, type) and issubclass(kind, SessionError)
}


def from_wire(body: object, status: int) -> SessionError:
    """Return the error in a body of `SessionError.to_wire`, or `BadAnswer` for another body."""
    if not isinstance(body, dict) or "message" not in body:
        return BadAnswer(f"The server answered {status} without a reason.", hint="Its log may say more.")
    kind = _KINDS.get(str(body.get("reason")), SessionError)
    return kind(
        str(body["message"]),
        hint=str(body.get("hint") or ""),
        field=str(body.get("field") or ""),
        data=body.get("data"),
    )
