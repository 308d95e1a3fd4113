"""The client side of the proxy: a connection to a service."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import aiohttp
from aiohttp.client_exceptions import UnixClientConnectorError
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from jupyter_sessions.wire.descriptors import receive_connection
from jupyter_sessions.wire.redirects import refuse_redirects

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jupyter_sessions.model import Endpoint

T = TypeVar("T")
UpstreamWebSocket = aiohttp.ClientWebSocketResponse[bool]

# How often a service that does not listen yet is tried, in seconds.
_PAUSE = 0.1
# Bytes of one header field; JupyterLab's and identity cookies exceed aiohttp's 8 KiB.
_LONGEST_FIELD = 128 * 1024
# Bytes read ahead of a slow client; larger pieces cost less than many small ones.
_BUFFER = 256 * 1024
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


def client(endpoint: Endpoint) -> aiohttp.ClientSession:
    """A client for one request to a service that passes bytes on as they are.

    Connections are not kept: a new one on this machine costs less than a request lost on an old
    one that the service had just given up.
    """
    return aiohttp.ClientSession(
        connector=_connector(endpoint),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_AUTOMATIC,
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
        read_bufsize=_BUFFER,
        max_line_size=_LONGEST_FIELD,
        max_field_size=_LONGEST_FIELD,
        trace_configs=[refuse_redirects()],
    )


def _connector(endpoint: Endpoint) -> aiohttp.BaseConnector:
    if endpoint.socket and endpoint.hands_over:
        return HandoverConnector(endpoint.socket, limit=0)
    if endpoint.socket:
        return aiohttp.UnixConnector(endpoint.socket, limit=0)
    return aiohttp.TCPConnector(limit=0)


class HandoverConnector(aiohttp.UnixConnector):
    """Connects to a service by the connections that are handed out on a unix socket."""

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: object, timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        """Take as long as the service takes to accept: it may be busy with another request."""
        try:
            connection = await receive_connection(self.path)
        except OSError as error:
            raise UnixClientConnectorError(self.path, req.connection_key, error) from error
        try:
            loop = asyncio.get_running_loop()
            _, protocol = await loop.create_connection(lambda: ResponseHandler(loop), sock=connection)
        except BaseException:
            connection.close()
            raise
        return protocol


def url(endpoint: Endpoint, target: str) -> URL:
    """The URL of a raw request target on a service."""
    root = "http://localhost" if endpoint.socket else (endpoint.url or "").rstrip("/")
    return URL(root + target, encoded=True)


async def patiently(attempt: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Repeat an attempt while nobody listens, for so many seconds; then raise its error."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            return await attempt()
        except aiohttp.ClientConnectorError:
            if loop.time() >= deadline:
                raise
        await asyncio.sleep(_PAUSE)


def sendable(code: int | None) -> int:
    """A close code that may be sent: 1000 for one that RFC 6455 reserves or does not know."""
    known = code is not None and (1000 <= code <= 1014 or 3000 <= code <= 4999)
    return code if code is not None and known and code not in (1004, 1005, 1006) else 1000
