"""Who asks a manager: with a keypair that signs each request, or signed in to its web server.

Source: clients 23.9.10 to 26.9.6, "api" and "session" endpoints; web server 25.5.2.
"""

from __future__ import annotations

import asyncio
from copy import copy
from time import monotonic
from typing import Any, Protocol

import httpx

from jupyter_sessions.backends.backendai.problems import (
    CHECK_ADDRESS,
    decoded,
    error_of,
    refuses_credentials,
    unreadable,
)
from jupyter_sessions.backends.parsing import understood
from jupyter_sessions.errors import BackendUnavailable, BadAnswer, RateLimited, SessionError, Unauthorized
from jupyter_sessions.wire.signing import VERSION_HEADERS, Keypair, headers_for

API, SESSION = "api", "session"
_REFUSED = 401
_BLOCKED_SECONDS = 1800.0
"""Web servers count failures that are up to 20 minutes apart, and block users after 10."""
_FIRST_PAUSE_SECONDS = 30.0
"""They count those of the manager, too, so it doubles with each: no more than 7 come less than 20 minutes apart."""


class Authentication(Protocol):
    """How requests authenticate; `prefix` comes before every path."""

    prefix: str

    async def enter(self, http: httpx.AsyncClient, endpoint: str) -> None:
        """Get ready to ask an address."""

    def mark(self, request: httpx.Request, content_type: str, version: str) -> None:
        """Give a request the headers that say who asks."""

    def again(self, status: int) -> bool:
        """Return whether a request with this answer may succeed after another `enter`."""


class Signed:
    """With a keypair."""

    prefix = ""

    def __init__(self, keypair: Keypair) -> None:
        self._keypair = keypair

    async def enter(self, http: httpx.AsyncClient, endpoint: str) -> None:
        """Nothing is needed beforehand."""

    def mark(self, request: httpx.Request, content_type: str, version: str) -> None:
        """Sign it now."""
        signed = headers_for(
            self._keypair,
            method=request.method,
            target=request.url.raw_path.decode(),
            host=request.headers["Host"],
            content_type=content_type,
            version=version,
        )
        request.headers.update(signed)

    def again(self, status: int) -> bool:
        """Return False: another signature would be no better."""
        return False


class SignedIn:
    """With user name and password, for which the web server gives a cookie.

    A password that was refused is not tried again for a while, so that nobody is blocked.
    """

    prefix = "/func"

    def __init__(self, username: str, password: str, who: str) -> None:
        self._body = {"username": username, "password": password}
        self._who = who
        self._entered: set[str] = set()
        self._one = asyncio.Lock()
        self._refusal: SessionError | None = None
        self._not_before = 0.0
        self._pause = _FIRST_PAUSE_SECONDS

    async def enter(self, http: httpx.AsyncClient, endpoint: str) -> None:
        """Sign in, unless that has been done.

        Errors: Unauthorized with what the web server says of name and password; BackendUnavailable if it could
        not ask the manager.
        """
        async with self._one:
            if endpoint in self._entered:
                return
            if self._refusal is not None and monotonic() < self._not_before:
                raise copy(self._refusal)
            request = http.build_request("POST", f"{endpoint}/server/login", json=self._body)
            request.headers.pop("Cookie", None)  # Who is still known to it may not sign in.
            await self._check(await http.send(request))
            self._entered.add(endpoint)
            self._pause = _FIRST_PAUSE_SECONDS

    async def _check(self, response: httpx.Response) -> None:
        body, readable = await decoded(response)
        with understood(self._who):
            self._check_body(response, body, readable)

    def _check_body(self, response: httpx.Response, body: object, readable: bool) -> None:
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS and isinstance(body, dict):
            raise self._blocked(str(body.get("title")))
        if not response.is_success:
            raise error_of(response, body, self._who)
        if not readable:
            raise unreadable(response, self._who)
        if not isinstance(body, dict) or "authenticated" not in body:
            raise BadAnswer(f"{self._who} is no web server of Backend.AI.", hint=CHECK_ADDRESS)
        if not body["authenticated"]:
            raise self._refused(body.get("data") or {})

    def _blocked(self, why: str) -> SessionError:
        """Return the error of a blocked user, for whom each try counts as a failure."""
        error = RateLimited(
            f"{self._who} did not let you in: {why}.", hint="Wait half an hour, then sign in anew."
        )
        return self._remembered(error, _BLOCKED_SECONDS)

    def _refused(self, said: dict[str, Any]) -> SessionError:
        """Of name and password, or of a manager that failed. Source: `login_handler` of web server 25.5.2."""
        why = str(said.get("details") or said.get("title") or "it does not say why").rstrip(".")
        if refuses_credentials(said):
            error = Unauthorized(f"{self._who} did not let you in: {why}.", hint="Sign in anew.")
            return self._remembered(error, _BLOCKED_SECONDS)
        pause, self._pause = self._pause, min(2 * self._pause, _BLOCKED_SECONDS)
        hint = f"It is tried again after {pause:.0f} s; sign in anew to try at once."
        return self._remembered(
            BackendUnavailable(f"{self._who} could not let you in: {why}.", hint=hint), pause
        )

    def _remembered(self, error: SessionError, seconds: float) -> SessionError:
        """An error that is raised again until this time is over."""
        self._refusal, self._not_before = error, monotonic() + seconds
        return error

    def mark(self, request: httpx.Request, content_type: str, version: str) -> None:
        """Add nothing: the connection sends the cookie."""
        request.headers[VERSION_HEADERS[0]] = version

    def again(self, status: int) -> bool:
        """Return whether the cookie may have expired."""
        if status != _REFUSED:
            return False
        self._entered.clear()
        return True
