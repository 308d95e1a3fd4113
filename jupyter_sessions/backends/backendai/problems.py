"""What a manager, or something before it, says went wrong, as errors of ours.

Source: the problem types of managers 23.09 to 26.8; answers of 23.9.10, 25.5.2 and 26.9.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from jupyter_sessions import errors
from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire import sse, untrusted
from jupyter_sessions.wire.bounded import AnswerRefused

CHECK_ADDRESS = "Check that the address is that of a Backend.AI manager."
_ASK = "Ask who runs the manager."
_RATE_SECONDS = 900
_SKEW = "Date/time sync error"
_KINDS: dict[str, type[SessionError]] = {
    "invalid-api-params": errors.InvalidRequest,
    "generic-bad-request": errors.InvalidRequest,
    "graphql-error": errors.InvalidRequest,
    "rejected-by-hook": errors.InvalidRequest,
    "invalid-auth-params": errors.Unauthorized,
    "auth-failed": errors.Unauthorized,
    "password-expired": errors.Unauthorized,
    "generic-forbidden": errors.Forbidden,
    "insufficient-privilege": errors.Forbidden,
    "object-not-found": errors.SessionNotFound,
    "url-not-found": errors.NotSupported,
    "method-not-allowed": errors.NotSupported,
    "too-many-sessions-matched": errors.Ambiguous,
    "session-already-exists": errors.AlreadyExists,
    "quota-exceeded": errors.NotEnough,
    "not-implemented": errors.NotSupported,
    "rate-limit-exceeded": errors.RateLimited,
    "service-unavailable": errors.BackendUnavailable,
    "instance-not-available": errors.BackendUnavailable,
    "server-frozen": errors.BackendUnavailable,
}
_UNKNOWN_KINDS: dict[int, type[SessionError]] = {
    400: errors.InvalidRequest,
    404: errors.NotFound,
    501: errors.NotSupported,
}
"""Managers from 25.8 on have ever more types, whose HTTP status says enough."""
_OBJECTS: dict[str, tuple[type[SessionError], str]] = {
    "image": (errors.UnknownImage, "image"),
    "scaling group": (errors.InvalidRequest, "resource_group"),
    "virtual folder": (errors.InvalidRequest, "mounts"),
    "app service": (errors.NotFound, "service"),
    "session": (errors.SessionNotFound, "session"),
    "kernel": (errors.SessionNotFound, "session"),
}
_STATUSES: dict[int, type[SessionError]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    429: errors.RateLimited,
    502: errors.BackendUnavailable,
    503: errors.BackendUnavailable,
    504: errors.BackendTimeout,
}
_HINTS: dict[type[SessionError], str] = {
    errors.Unauthorized: "Check the keys, or sign in anew.",
    errors.Forbidden: _ASK,
    errors.BackendUnavailable: "Try again.",
    errors.BackendTimeout: "Try again.",
    errors.SessionNotFound: "List the sessions to see which there are.",
}


class Translated:
    """Turns errors of httpx into ours; what was sent may have been done unless it is `NotReached`."""

    def __init__(self, who: str) -> None:
        self.who = who

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        late = isinstance(error, httpx.TimeoutException | TimeoutError)
        if late and not isinstance(error, httpx.ConnectTimeout):
            raise errors.BackendTimeout(f"{self.who} did not answer in time.", hint="Try again.") from error
        if isinstance(error, httpx.TransportError):
            why = str(error) or type(error).__name__
            early = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
            found = errors.NotReached if early else errors.BackendUnavailable
            raise found(f"{self.who} cannot be reached: {why}.", hint="Try again.") from error
        if isinstance(error, AnswerRefused | sse.EventTooLarge):
            raise errors.BadAnswer(
                f"{self.who} gave an answer that is not read: {error}.", hint=f"{CHECK_ADDRESS} {_ASK}"
            ) from error
        if isinstance(error, httpx.HTTPError | httpx.InvalidURL):
            raise errors.BadAnswer(f"{self.who} cannot be spoken to: {error}.", hint=CHECK_ADDRESS) from error


def error_of(response: httpx.Response, body: object, who: str) -> SessionError:
    """Return the error in an answer; `body` is its JSON, or None."""
    status = response.status_code
    if isinstance(body, dict) and body.get("reason") and body.get("message"):
        return errors.from_wire(body, status)
    if not isinstance(body, dict) or "title" not in body:
        return _unexplained(response, who)
    suffix = _suffix(body)
    kind, field = _KINDS.get(suffix) or (_STATUSES | _UNKNOWN_KINDS).get(status, SessionError), ""
    if suffix == "object-not-found":
        kind, field = _object(str(body["title"]))
    if kind is errors.RateLimited:
        return _rate_limited(response, who)
    if body.get("msg") == _SKEW:
        return _skewed(response, who)
    data = body.get("data")
    said = str(body.get("msg") or _of_query(data) or body["title"])
    if kind is errors.InvalidRequest and isinstance(data, dict) and data:
        said += ": " + ", ".join(f"{name} {why}" for name, why in data.items())
    return kind(said, hint=later(response) or _HINTS.get(kind, ""), field=field, data=data)


def _of_query(data: object) -> str:
    """Return the errors of a query, as managers send them whose answers have no envelope."""
    problems = data if isinstance(data, list) else []
    return "; ".join(str(one["message"]) for one in problems if isinstance(one, dict) and "message" in one)


def refuses_credentials(problem: Mapping[str, object]) -> bool:
    """Return whether a problem is about the credentials, rather than the manager."""
    kind = _KINDS.get(_suffix(problem), SessionError)
    return issubclass(kind, (errors.Unauthorized, errors.Forbidden, errors.InvalidRequest))


def _suffix(problem: Mapping[str, object]) -> str:
    return str(problem.get("type") or "").rpartition("/")[2]


def _object(title: str) -> tuple[type[SessionError], str]:
    """Return the noun of what does not exist. Source: titles such as "No such environment image."."""
    return next((found for words, found in _OBJECTS.items() if words in title), (errors.NotFound, ""))


def _unexplained(response: httpx.Response, who: str) -> SessionError:
    """Return the error of an answer that came from a proxy or a sign-in page."""
    status = response.status_code
    if response.is_redirect:
        where = response.headers.get("Location", "elsewhere")
        return errors.BadAnswer(f"{who} sends on to {where}.", hint="Use the manager's own address.")
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return _rate_limited(response, who)
    kind = _STATUSES.get(status, errors.BadAnswer)
    hint = later(response) or _HINTS.get(kind, CHECK_ADDRESS)
    return kind(f"{who} answered {status} without saying why.", hint=hint)


def unreadable(response: httpx.Response, who: str) -> SessionError:
    """Return the error of an answer that should be JSON and is not."""
    what = "a page for browsers" if _is_page(response) else _why_unreadable(response)
    return errors.BadAnswer(f"{who} answered {response.status_code} with {what}.", hint=CHECK_ADDRESS)


def _why_unreadable(response: httpx.Response) -> str:
    try:
        untrusted.check(response.content)
    except untrusted.LimitExceeded as error:
        return f"an answer that is not read: {error}"
    return "something that is no JSON"


def _is_page(response: httpx.Response) -> bool:
    return "html" in response.headers.get("Content-Type", "") or response.content[:1] == b"<"


def later(response: httpx.Response) -> str:
    """Return when to try again, if the answer says so in seconds or as a date (RFC 9110)."""
    said = response.headers.get("Retry-After", "")
    if said.isdigit():
        return f"Try again in {said} s."
    moment = _date(said)
    return f"Try again after {moment.astimezone():%H:%M:%S}." if moment else ""


def _rate_limited(response: httpx.Response, who: str) -> SessionError:
    seconds = response.headers.get("X-RateLimit-Window") or _RATE_SECONDS
    hint = later(response) or f"It counts those of the last {seconds} s: try again later."
    return errors.RateLimited(f"{who} takes no more requests of this key for now.", hint=hint)


def _skewed(response: httpx.Response, who: str) -> SessionError:
    """Add to a refusal by how much the clocks differ: managers refuse dates more than 15 minutes off."""
    theirs = _date(response.headers.get("Date", ""))
    minutes = round((datetime.now(UTC) - theirs).total_seconds() / 60) if theirs else 0
    off = f"{abs(minutes)} minutes {'ahead of' if minutes > 0 else 'behind'}" if minutes else "not that of"
    message = f"{who} refuses the date of the request: this machine's clock is {off} the manager's."
    return errors.Unauthorized(message, hint="Set the clock right.", field="date")


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def decoded(response: httpx.Response) -> tuple[object, bool]:
    """Decode the JSON of an answer, None if it is empty; tell whether it could be read."""
    try:
        return (await untrusted.decode_gently(response.content) if response.content else None), True
    except msgspec.DecodeError:
        return None, False
