"""Requests to a Backend.AI manager: REST, GraphQL, events and WebSockets.

Source: Backend.AI client 23.9.10 and managers 23.09 to 26.8.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx

from jupyter_sessions import errors
from jupyter_sessions.backends.backendai import versions
from jupyter_sessions.backends.backendai.access import Authentication
from jupyter_sessions.backends.backendai.problems import (
    CHECK_ADDRESS,
    Translated,
    decoded,
    error_of,
    unreadable,
)
from jupyter_sessions.backends.backendai.versions import Dialect
from jupyter_sessions.backends.file_transfer import FileContent
from jupyter_sessions.backends.parsing import understood
from jupyter_sessions.wire import bounded, sse
from jupyter_sessions.wire.encoding import encoded
from jupyter_sessions.wire.log_redaction import QuietClient
from jupyter_sessions.wire.signing import DEFAULT_CONTENT_TYPE
from jupyter_sessions.wire.unix_http import unix_connector, unix_transport

if TYPE_CHECKING:
    import aiohttp

    WebSocket = aiohttp.ClientWebSocketResponse[bool]

T = TypeVar("T")

SECONDS = 30.0
CONNECT_SECONDS = 10.0
_QUIET_SECONDS = 45.0  # Managers ping every 15 s.
_HEARTBEAT_SECONDS = 30.0
MESSAGE_BYTES = 64 * 1024**2
"""Of a WebSocket."""
_PARTING_SECONDS = 1.0
_MOST_SAID = 4000
_UPLOAD_SECONDS = 24 * 3600.0


class ManagerClient:
    """Speaks to one manager, which may have several addresses.

    An answer may take `seconds`, of which `connect_seconds` to connect; certificates are looked at if `verify`.
    `who` is how errors call it, `socket` the path of a unix socket. Proxies that the environment names are
    used if `trust_env`. The `dialect` is asked for on first use,
    unless it is given.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        access: Authentication,
        *,
        who: str,
        socket: str | None = None,
        dialect: Dialect | None = None,
        seconds: float = SECONDS,
        connect_seconds: float = CONNECT_SECONDS,
        verify: bool = True,
        trust_env: bool = True,
    ) -> None:
        self._access = access
        self.who = who
        self._dialect = dialect
        self._socket = socket
        self._trust_env = trust_env and socket is None
        self._websockets: aiohttp.ClientSession | None = None
        # Nobody is verified on a socket of this machine, and certificates take a while to read.
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        transport = unix_transport(socket, nobody) if socket else None
        self._endpoints = [endpoint.strip().rstrip("/") for endpoint in endpoints]
        self._seconds = seconds
        self._connect_seconds = min(connect_seconds, seconds / max(len(self._endpoints), 1))
        self._verify = verify
        self._http = QuietClient(
            transport=transport, timeout=self._timeout(), trust_env=self._trust_env, verify=verify
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()
        if self._websockets is not None:
            await self._websockets.close()

    async def dialect(self) -> Dialect:
        """Return the manager's dialect. Errors: as `request`."""
        if self._dialect is None:
            self._dialect = versions.read(
                await self._read(await self._send("GET", "/", signed=False, again=True)), self.who
            )
        return self._dialect

    async def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: dict[str, str] | None = None,
        wait: float = 0,
    ) -> Any:
        """Return the JSON of the answer, None if it is empty. The manager may hold the request for `wait` seconds.

        Paths of sessions begin with "/session", whatever the manager calls them.

        Errors: BackendUnavailable, BackendTimeout, BadAnswer, InvalidRequest for what
        is no Unicode text, or what the manager says.
        """
        return await self._read(await self._ask(method, path, json=json, params=params, wait=wait))

    async def content(
        self, method: str, path: str, *, json: object = None, params: dict[str, str] | None = None
    ) -> bytes:
        """Return an answer that is not JSON. Errors: as `request`."""
        response = await self._ask(method, path, json=json, params=params)
        if not response.is_success:
            await self._read(response)
        return response.content

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: dict[str, str] | None = None,
        wait: float = 0,
    ) -> httpx.Response:
        path = await self._path(path)
        content = None if json is None else encoded(json)
        kind = "text/plain" if content is None else "application/json"
        again = method == "GET" or path == (await self.dialect()).query
        return await self._send(
            method, path, content=content, params=params, kind=kind, wait=wait, again=again
        )

    async def _path(self, path: str) -> str:
        """Return a path as the manager calls it."""
        dialect = await self.dialect()
        return dialect.root + path.removeprefix("/session") if path.startswith("/session") else path

    @asynccontextmanager
    async def file(self, path: str, params: dict[str, str]) -> AsyncIterator[FileContent]:
        """Open the bytes of an answer, which are read as they are consumed. Errors: as `request`."""
        async with self._stream(await self._path(path), params) as response:
            length = response.headers.get("Content-Length", "")
            yield FileContent(self._pieces(response), int(length) if length.isdigit() else None)

    async def _pieces(self, response: httpx.Response) -> AsyncIterator[bytes]:
        with Translated(self.who):
            async for piece in bounded.uncompressed(response):
                yield piece

    async def send_file(self, path: str, name: str, content: AsyncIterator[bytes], size: int | None) -> None:
        """Send a file in a form, as the vendor's clients do, while `content` yields it. Errors: as `request`."""
        boundary = secrets.token_hex(16)
        disposition = f'form-data; name="src"; filename="{quote(name, safe="")}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: {DEFAULT_CONTENT_TYPE}\r\n\r\n"
        tail = f"\r\n--{boundary}--\r\n"

        async def form() -> AsyncIterator[bytes]:
            yield head.encode()
            async for chunk in content:
                yield chunk
            yield tail.encode()

        kind = f"multipart/form-data; boundary={boundary}"
        length = None if size is None else len(head) + size + len(tail)
        await self._read(
            await self._send("POST", await self._path(path), content=form(), length=length, kind=kind)
        )

    async def query(self, text: str, variables: dict[str, object]) -> dict[str, Any]:
        """Return the data of a GraphQL query. Errors: as `request`; InvalidRequest for a wrong query."""
        dialect = await self.dialect()
        answer = await self.request("POST", dialect.query, json={"query": text, "variables": variables})
        if isinstance(answer, dict) and not dialect.envelope:
            return answer
        if not isinstance(answer, dict) or not answer.keys() & {"data", "errors"}:
            raise errors.BadAnswer(
                f"{self.who} answered a query with something that is no answer.", hint=CHECK_ADDRESS
            )
        with understood(self.who):
            if problems := answer.get("errors"):
                said = "; ".join(str(problem.get("message")) for problem in problems)
                raise errors.InvalidRequest(
                    said[:_MOST_SAID], hint="Correct it, or ask who runs the manager."
                )
            return dict(answer["data"])

    @asynccontextmanager
    async def events(self) -> AsyncIterator[AsyncIterator[sse.ServerEvent]]:
        """Open the stream of lifecycle events of all sessions."""
        dialect = await self.dialect()
        async with self._stream(dialect.events, dialect.all_events) as response:
            yield self._events(response)

    @asynccontextmanager
    async def _stream(self, path: str, params: dict[str, str]) -> AsyncIterator[httpx.Response]:
        """Open the answer to a GET, to be read as it comes. Errors: as `request`."""
        response = await self._send("GET", path, params=params, stream=True, again=True)
        try:
            if not response.is_success:
                with Translated(self.who):
                    body = await bounded.read(response)
                await self._read(bounded.whole(response, body))
            yield response
        finally:
            await response.aclose()

    async def lines(self, path: str, params: dict[str, str], most: int) -> AsyncGenerator[list[bytes]]:
        """Yield the lines of an answer as they come, each of limited size. Errors: as `request`."""
        async with self._stream(path, params) as response:
            with Translated(self.who):
                async for some in bounded.lines(response, most):
                    yield some

    async def _events(self, response: httpx.Response) -> AsyncIterator[sse.ServerEvent]:
        with Translated(self.who):
            async for event in sse.read(bounded.uncompressed(response)):
                yield event

    async def websocket(self, path: str, params: dict[str, str] | None = None) -> WebSocket | None:
        """A WebSocket of a session, whose path is as in `request`; None if it gives none in time, the reason for which a plain request will tell."""
        import aiohttp  # Costs more than all else here, and most processes need none.

        path = f"/stream{(await self.dialect()).root}{path.removeprefix('/session')}"
        for _ in range(2):
            try:
                return await self._from_any(lambda url: self._connect(url, path, params), again=True)
            except aiohttp.WSServerHandshakeError as error:
                if not self._access.again(error.status):
                    return None
            except (aiohttp.ClientError, httpx.HTTPError, OSError, errors.SessionError):
                return None
        return None

    async def _connect(self, endpoint: str, path: str, params: dict[str, str] | None) -> WebSocket:
        """A WebSocket. Source of its signature: client 23.9.10, which sends no Content-Type but signs one."""
        import aiohttp
        from yarl import URL

        await self._access.enter(self._http, endpoint)
        request = self._http.build_request("GET", self._url(endpoint, path), params=params)
        self._mark(request, DEFAULT_CONTENT_TYPE)
        names = ("Host", "Date", "X-BackendAI-Version", "Authorization", "Cookie")
        return await self._websocket_session().ws_connect(
            URL(str(request.url), encoded=True),
            headers={name: request.headers[name] for name in names if name in request.headers},
            max_msg_size=MESSAGE_BYTES,
            heartbeat=_HEARTBEAT_SECONDS,
            timeout=aiohttp.ClientWSTimeout(ws_close=_PARTING_SECONDS),
            ssl=self._verify,
        )

    def _websocket_session(self) -> aiohttp.ClientSession:
        import aiohttp

        from jupyter_sessions.wire.redirects import refuse_redirects

        if self._websockets is None:
            self._websockets = aiohttp.ClientSession(
                connector=unix_connector(self._socket) if self._socket else None,
                trust_env=self._trust_env,
                trace_configs=[refuse_redirects()],
            )
        return self._websockets

    async def _send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | AsyncIterator[bytes] | None = None,
        length: int | None = None,
        params: dict[str, str] | None = None,
        kind: str = "",
        wait: float = 0,
        signed: bool = True,
        stream: bool = False,
        again: bool = False,
    ) -> httpx.Response:
        """The answer; `again`: whether another address may be asked, too, when one has been asked."""
        timeout = self._timeout(wait, quiet=_QUIET_SECONDS if stream else 0)
        headers = {"Content-Type": kind} if kind else {}
        once_only = isinstance(content, AsyncIterator)
        if once_only:
            wait = _UPLOAD_SECONDS
        if length is not None:
            headers["Content-Length"] = str(length)
        if stream:
            headers["Accept-Encoding"] = "identity"

        async def once(endpoint: str) -> httpx.Response:
            if signed:
                await self._access.enter(self._http, endpoint)
            url = self._url(endpoint, path)
            request = self._http.build_request(
                method, url, content=content, params=params, headers=headers, timeout=timeout
            )
            if signed:
                self._mark(request, kind or DEFAULT_CONTENT_TYPE)
            return await self._http.send(request, stream=stream)

        with Translated(self.who):
            response = await self._from_any(once, wait=wait, again=again)
            if signed and self._access.again(response.status_code) and not once_only:
                await response.aclose()
                response = await self._from_any(once, wait=wait, again=again)
            return response

    async def _from_any(self, ask: Callable[[str], Awaitable[T]], *, wait: float = 0, again: bool) -> T:
        """What the first address gives that can be connected to; one that gave nothing is asked last from then on.

        One that was connected to and gives nothing in its share of the time is gone by only if it may be asked
        `again` elsewhere. Errors: those of the last one, TimeoutError once the time is over.
        """
        endpoints = [*self._endpoints]  # Others may be at it, too.
        over = asyncio.get_running_loop().time() + self._seconds + wait
        for left in range(len(endpoints), 0, -1):
            endpoint = endpoints[-left]
            now = asyncio.get_running_loop().time()
            share = (over - now - wait) / left + wait if again else over - now
            try:
                async with asyncio.timeout(share):  # Also for an answer that never ends.
                    return await ask(endpoint)
            except (httpx.ConnectError, httpx.TimeoutException, OSError) as error:
                self._put_last(endpoint)
                unasked = isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                if left == 1 or not (again or unasked):
                    raise
        raise AssertionError  # pragma: no cover

    def _put_last(self, endpoint: str) -> None:
        """Ask this address last, unless another request has seen to that."""
        if self._endpoints[0] == endpoint:
            self._endpoints.append(self._endpoints.pop(0))

    def _timeout(self, wait: float = 0, quiet: float = 0) -> httpx.Timeout:
        """Return the timeouts of a request that the manager holds, or of a stream."""
        seconds = self._seconds + wait
        return httpx.Timeout(seconds, read=max(seconds, quiet), connect=self._connect_seconds)

    def _url(self, endpoint: str, path: str) -> str:
        return endpoint + self._access.prefix + path

    def _mark(self, request: httpx.Request, content_type: str) -> None:
        assert self._dialect is not None  # noqa: S101
        self._access.mark(request, content_type, self._dialect.version)

    async def _read(self, response: httpx.Response) -> Any:
        body, readable = await decoded(response)
        if not response.is_success:
            with understood(self.who):
                raise error_of(response, body, self.who)
        if not readable:
            raise unreadable(response, self.who)
        return body
