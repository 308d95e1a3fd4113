"""What can go wrong, each with an HTTP status and a sentence for people.

    SessionError                      500  anything below, or unforeseen
    ├── InvalidRequest                400  a field is missing, malformed or unknown
    │   ├── UnknownImage              400  no such environment; names the nearest
    │   └── BadAuthParams             400  the headers that sign a request cannot be read (manager.api.problems)
    ├── Unauthorized                  401  no or wrong credentials
    ├── Forbidden                     403  valid credentials, not allowed
    │   └── NeedsForce                403  only force does that now
    ├── NotFound                      404  no such thing
    │   ├── SessionNotFound           404
    │   └── UnknownBackend            404
    ├── AlreadyExists                 409  a live session has that name
    ├── Ambiguous                     409  several live sessions match
    ├── NotRunning                    409  the session is not in a state to do that
    ├── NoRoom                        409  the session's memory is too little for a service; force starts it
    ├── NotEnough                     412  more than the backend can ever give
    ├── CellFailed                    422  the code that ran in a session raised
    │   └── RemoteError               422  the same, with its traceback (commands.remote_error)
    ├── NotSupported                  501  this backend cannot do that
    ├── LaunchFailed                  500  the session's process could not be started
    │   ├── LaunchError               500  why the system did not start it (manager.runtime.launch)
    │   │   └── BootstrapFailed       500  its bootstrap script failed (manager.run.member)
    │   ├── LimitsError               500  its limits could not be set (manager.runtime.limits)
    │   │   └── LimitsGroupGone       500  its limits are not there any more (manager.runtime.limits)
    │   ├── KernelKeyLost             500  its kernel's key was lost (manager.endpoints.kernel_link)
    │   └── StoreError                500  the database cannot be read or written (manager.core.store)
    │       └── StoreDamaged          500  the database is damaged (manager.core.store)
    ├── MovedAway                     500  the manager ends so that the next one repairs its files (manager.presence)
    ├── ImpossibleTransition          500  a change that a session cannot make in its status (manager.core.machine)
    ├── SessionErrors                 500  some of several sessions failed; holds what was done, and each error
    ├── BadAnswer                     502  a backend talks nonsense
    │   ├── AnswerRefused             502  its answer is too large, cut off or compressed (wire.bounded)
    │   ├── EventTooLarge             502  an event of its stream is too large (wire.sse)
    │   └── LimitExceeded             502  its JSON is nested too deeply or holds too many values (wire.untrusted)
    ├── BackendUnavailable            503  a backend cannot be reached
    │   ├── NotReached                503  there was no way to ask, so nothing was done
    │   ├── RateLimited               429  asked too often; the hint says when to try again
    │   └── Unfinished                503  a cell came to no end (service.cells)
    ├── BackendTimeout                504  a backend did not answer in time
    ├── Help                          500  not an error: the help that was asked for (commands.grammar)
    └── OutputClosed                  500  nobody reads what a command prints (commands.terminal)

A class with a module behind it is defined there; over the wire it is the nearest kind that is defined here. Outside
of the tree are interrupts, which are Python's `KeyboardInterrupt`, and the answers of the proxy, tornado's `HTTPError`.

Over the wire an error is ``{"message", "reason", "hint"?, "field"?}``; `from_wire` builds it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class SessionError(Exception):
    """Base of all errors of this package.

    `message` is one sentence for people, `hint` what to do about it, `field` the parameter it is about.
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
        """The kind of error, stable for programs: the name of the nearest class of this module."""
        return next(kind.__name__ for kind in type(self).__mro__ if kind.__module__ == __name__)

    def to_wire(self) -> dict[str, Any]:
        """The JSON body that says this error over HTTP."""
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
    """No credentials, or wrong ones."""

    status = 401


class Forbidden(SessionError):
    """The credentials are valid but do not allow this."""

    status = 403


class NeedsForce(Forbidden):
    """A session is not ended as it is now, unless by force; faces offer that."""


class NotFound(SessionError):
    """There is no such thing."""

    status = 404


class SessionNotFound(NotFound):
    """No session has that name or id."""


class UnknownBackend(NotFound):
    """No backend of that name is configured."""


class AlreadyExists(SessionError):
    """A live session has that name already; `data` holds its id."""

    status = 409

    @classmethod
    def session(cls, name: str, id: str, status: str, *, image: str = "") -> AlreadyExists:
        """For a session that could be reused if its `image` were another one, if that is given."""
        of_image = f" with the image '{image}'" if image else ""
        return cls(
            f"A session '{name}' exists already{of_image}, {status}.",
            hint="Use another name, or terminate that one.",
            field="name",
            data={"existingSessionId": id},
        )


class Ambiguous(SessionError):
    """Several live sessions match the reference."""

    status = 409


class NotRunning(SessionError):
    """The session is not in a state in which this can be done."""

    status = 409


class NoRoom(SessionError):
    """A service does not fit into what is left of its session's memory; it starts when forced to.

    `data` holds bytes: what it `needs`, what is `left` and the session's `limit`.
    """

    status = 409


class NotEnough(SessionError):
    """More than the backend can ever give was asked for."""

    status = 412


class CellFailed(SessionError):
    """Code that ran in a session raised; the remote traceback has been shown already."""

    status = 422


class NotSupported(SessionError):
    """The backend cannot do that."""

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
    """A backend answered with something that is not its protocol."""

    status = 502


class BackendUnavailable(SessionError):
    """A backend cannot be reached."""

    status = 503


class NotReached(BackendUnavailable):
    """There was no way to ask at all, so nothing has been done."""


class RateLimited(BackendUnavailable):
    """A backend takes no more requests for a while; nothing has been done."""

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
    """The error that `SessionError.to_wire` wrote; a `SessionError` if the body is none of ours."""
    if not isinstance(body, dict) or "message" not in body:
        return BadAnswer(f"The server answered {status} without saying why.", hint="Its log may say more.")
    kind = _KINDS.get(str(body.get("reason")), SessionError)
    return kind(
        str(body["message"]),
        hint=str(body.get("hint") or ""),
        field=str(body.get("field") or ""),
        data=body.get("data"),
    )
