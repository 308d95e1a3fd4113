"""Requests to a Skaha server, and its errors, which are sentences of plain text.

Source: clients skaha 1.7.0 and canfar 1.5.2: every parameter goes into the query, also those of a POST.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import msgspec

from jupyter_sessions import errors
from jupyter_sessions._version import __version__
from jupyter_sessions.backends.skaha.credentials import SkahaLogin
from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire import untrusted
from jupyter_sessions.wire.bounded import AnswerRefused
from jupyter_sessions.wire.log_redaction import QuietClient

ID = re.compile(r"[a-z][a-z0-9]{7}", re.ASCII)
SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_MOST_SAID = 500
_MOST_READ = 16 * 1024
_STATUSES: dict[int, type[SessionError]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.SessionNotFound,
    405: errors.NotSupported,
    429: errors.RateLimited,
    502: errors.BackendUnavailable,
    503: errors.BackendUnavailable,
    504: errors.BackendTimeout,
}
_HINTS = {
    401: "Sign in anew.",
    403: "Ask the platform's support for access.",
    429: "Try again later.",
    502: "Try again.",
    503: "Try again.",
}

_STANDARDS = {
    "v0": "vos://cadc.nrc.ca~vospace/CADC/std/Proc#sessions-1.0",
    "v1": "http://www.opencadc.org/std/platform#session-1",
}

_CUT = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, ConnectionResetError, ssl.SSLEOFError)
_ALERT = re.compile(r"ALERT_.*(?:CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR|HANDSHAKE_FAILURE)")
"""What servers say of a client's certificate that they do not take. Source: RFC 8446, section 6.2, in OpenSSL's words."""

QueryParams = Sequence[tuple[str, str]]


class SkahaClient:
    """Speaks to one server as one person. `who` is how errors call it; an answer may take `seconds`."""

    def __init__(self, login: SkahaLogin, *, who: str, seconds: float = SECONDS) -> None:
        self.login = login
        self._seconds = seconds
        self._who = who
        self._heard = False
        headers = {"User-Agent": f"jupyter_sessions/{__version__}"}
        if login.token:
            headers["Authorization"] = f"Bearer {login.token}"
        self._http = QuietClient(
            base_url=login.url,
            headers=headers,
            verify=login.tls(),
            timeout=httpx.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds)),
            follow_redirects=False,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def text(self, method: str, path: str, params: QueryParams = ()) -> str:
        """Return the server's answer as text.

        Errors: BackendUnavailable, BackendTimeout, BadAnswer, Unauthorized, or what the server says, word for word.
        """
        try:
            async with asyncio.timeout(self._seconds):  # Also for an answer that never ends.
                response = await self._http.request(method, path, params=list(params))
        except AnswerRefused as error:
            raise errors.BadAnswer(
                f"{self._who} gave an answer that is not read: {error}.", hint=self._check_address()
            ) from error
        except (httpx.TransportError, TimeoutError, ssl.SSLError) as error:
            raise self._unanswered(error) from error
        self._heard = True
        if not response.is_success:
            raise error_of(response, self._who)
        return _text(response.content)

    def _unanswered(self, error: Exception) -> SessionError:
        if self.login.certificate and (how := self._refusal(error)):
            return errors.Unauthorized(
                f"{self._who} {how} the certificate {self.login.certificate}.", hint="Get a new one."
            )
        why = f"{self._who} cannot be reached: {_why(error)}."
        if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
            return errors.NotReached(why, hint="Try again.")
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return errors.BackendTimeout(f"{self._who} did not answer in time.", hint="Try again.")
        return errors.BackendUnavailable(why, hint="Try again.")

    def _refusal(self, error: Exception) -> str:
        """Return what a server says about the certificate, "" for nothing.

        Some cut the connection instead, and with TLS 1.3 what they say may be lost by that. A server that has
        answered before has taken the certificate.
        """
        causes = [*_causes(error)]
        if any(map(_is_alert, causes)):
            return "does not take"
        cut = not self._heard and any(isinstance(cause, _CUT) for cause in causes)
        return "cuts the connection and may not take" if cut else ""

    async def made(self, params: QueryParams) -> str:
        """Create a session and return its id. Errors: as `text`; BadAnswer for an answer that is no id."""
        said = (await self.text("POST", "/session", params)).strip()
        if not ID.fullmatch(said):
            raise errors.BadAnswer(
                f"{self._who} does not say which session it made.", hint=self._check_address()
            )
        return said

    async def json(self, path: str, params: QueryParams = ()) -> Any:
        """Return the server's answer as JSON. Errors: as `text`; BadAnswer for an answer that is no JSON."""
        said = await self.text("GET", path, params)
        try:
            return await untrusted.decode_gently(said)
        except untrusted.LimitExceeded as error:
            raise errors.BadAnswer(
                f"{self._who} gave an answer that is not read: {error}.", hint=self._check_address()
            ) from None
        except msgspec.DecodeError:
            raise errors.BadAnswer(
                f"{self._who} answered with something that is no JSON.", hint=self._check_address()
            ) from None

    def _check_address(self) -> str:
        return f"Check that {self.login.root} is a Skaha server."


def versions_of(capabilities: str) -> list[str]:
    """The API's versions, oldest first, that a server's document of capabilities names; it is XML of strangers, and not parsed."""
    return [version for version, standard in _STANDARDS.items() if f'standardID="{standard}"' in capabilities]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_alert(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) and bool(_ALERT.search(error.reason or ""))


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _text(content: bytes) -> str:
    """Decode text, which is UTF-8 whatever the server says: some of Python's codecs decompress."""
    return content.decode(errors="replace")


def error_of(response: httpx.Response, who: str) -> SessionError:
    """Return the error in an answer; a page for browsers holds none."""
    status = response.status_code
    text = _text(response.content[:_MOST_READ])
    html = "html" in response.headers.get("Content-Type", "") or text.lstrip().startswith("<")
    said = "" if html else " ".join(text.split())[:_MOST_SAID]
    kind = _STATUSES.get(status, errors.BadAnswer)
    later = response.headers.get("Retry-After")
    hint = (
        f"Try again in {later} s."
        if status in (429, 503) and later and later.isdigit()
        else _HINTS.get(status, "")
    )
    if kind is errors.InvalidRequest and not said:
        kind = errors.BadAnswer
    return kind(
        said if said else f"{who} answered {status}.",
        hint=hint or "Try again, or ask the platform's support.",
    )
