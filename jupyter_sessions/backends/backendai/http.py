"""Signed requests to a Backend.AI manager, and its errors as ours.

Source: Backend.AI client 23.9.10 and managers 23.09 to 26.8.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from jupyter_sessions import errors
from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire import sse
from jupyter_sessions.wire.encoding import encoded
from jupyter_sessions.wire.signing import DEFAULT_CONTENT_TYPE, Keypair, headers_for

VERSION = "v8.20240915"
TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_CHECK_ADDRESS = "Check that the address is that of a Backend.AI manager."
_KINDS: dict[str, type[SessionError]] = {
    "invalid-api-params": errors.InvalidRequest,
    "generic-bad-request": errors.InvalidRequest,
    "graphql-error": errors.InvalidRequest,
    "invalid-auth-params": errors.Unauthorized,
    "auth-failed": errors.Unauthorized,
    "generic-forbidden": errors.Forbidden,
    "insufficient-privilege": errors.Forbidden,
    "object-not-found": errors.SessionNotFound,
    "too-many-sessions-matched": errors.Ambiguous,
    "session-already-exists": errors.AlreadyExists,
    "quota-exceeded": errors.NotEnough,
}


class ManagerClient:
    """Speaks to one manager. `who` is how errors call it; `socket` is the path of a unix socket."""

    def __init__(self, endpoint: str, keypair: Keypair, *, who: str, socket: str | None = None) -> None:
        self._keypair = keypair
        self._who = who
        transport = httpx.AsyncHTTPTransport(uds=socket) if socket else None
        self._http = httpx.AsyncClient(
            base_url=endpoint.rstrip("/"), transport=transport, timeout=TIMEOUT, trust_env=socket is None
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: dict[str, str] | None = None,
        wait: float = 0,
    ) -> Any:
        """The JSON of the answer, None if it is empty. `wait`: seconds the manager may hold the request.

        Errors: BackendUnavailable, BackendTimeout, BadAnswer, InvalidRequest for what
        is no Unicode text, or what the manager says.
        """
        content = None if json is None else encoded(json)
        kind = "text/plain" if content is None else "application/json"
        timeout = httpx.Timeout(TIMEOUT.read + wait if TIMEOUT.read else None, connect=TIMEOUT.connect)
        request = self._http.build_request(
            method, path, content=content, params=params, headers={"Content-Type": kind}, timeout=timeout
        )
        self._sign(request, kind)
        with self._translated():
            response = await self._http.send(request)
        return self._read(response)

    async def query(self, text: str, variables: dict[str, object]) -> dict[str, Any]:
        """The data of a GraphQL query. Errors: as `request`; InvalidRequest for what the query did wrong."""
        answer = await self.request("POST", "/admin/gql", json={"query": text, "variables": variables})
        if not isinstance(answer, dict) or not answer.keys() & {"data", "errors"}:
            raise errors.BadAnswer(
                f"{self._who} answered a query with something that is no answer.", hint=_CHECK_ADDRESS
            )
        if problems := answer.get("errors"):
            said = "; ".join(str(problem.get("message")) for problem in problems)
            raise errors.InvalidRequest(said, hint="Correct it, or ask who runs the manager.")
        return dict(answer["data"])

    @asynccontextmanager
    async def events(self, params: dict[str, str]) -> AsyncIterator[AsyncIterator[sse.ServerEvent]]:
        """The stream of lifecycle events, connected when the context is entered."""
        request = self._http.build_request(
            "GET", "/events/session", params=params, timeout=httpx.Timeout(30.0, connect=10.0)
        )
        self._sign(request, DEFAULT_CONTENT_TYPE)
        with self._translated():
            response = await self._http.send(request, stream=True)
            try:
                if response.is_error:
                    await response.aread()
                    self._read(response)
                yield sse.parse(response.aiter_lines())
            finally:
                await response.aclose()

    def _sign(self, request: httpx.Request, content_type: str) -> None:
        signed = headers_for(
            self._keypair,
            method=request.method,
            target=request.url.raw_path.decode(),
            host=request.headers["Host"],
            content_type=content_type,
            version=VERSION,
        )
        request.headers.update(signed)

    def _translated(self) -> _Translated:
        return _Translated(self._who)

    def _read(self, response: httpx.Response) -> Any:
        try:
            body = msgspec.json.decode(response.content) if response.content else None
        except msgspec.DecodeError:
            raise errors.BadAnswer(
                f"{self._who} answered {response.status_code} with something that is no JSON.",
                hint=_CHECK_ADDRESS,
            ) from None
        if response.is_error or response.is_redirect:
            raise error_of(response.status_code, body, self._who)
        return body


class _Translated:
    """Turns errors of httpx into ours."""

    def __init__(self, who: str) -> None:
        self._who = who

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpx.TimeoutException):
            raise errors.BackendTimeout(f"{self._who} did not answer in time.", hint="Try again.") from error
        if isinstance(error, httpx.TransportError):
            why = str(error) or type(error).__name__
            raise errors.BackendUnavailable(
                f"{self._who} cannot be reached: {why}.", hint="Try again."
            ) from error


def error_of(status: int, body: object, who: str) -> SessionError:
    """The error that a manager's answer says."""
    if not isinstance(body, dict):
        return errors.BadAnswer(f"{who} answered {status} without saying why.", hint=_CHECK_ADDRESS)
    if body.get("reason") and body.get("message"):
        return errors.from_wire(body, status)
    kind = _KINDS.get(str(body.get("type", "")).rpartition("/")[2], SessionError)
    message = str(body.get("msg") or body.get("title") or f"{who} answered {status}.")
    return kind(message, data=body.get("data"))
