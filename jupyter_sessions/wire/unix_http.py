"""HTTP clients over unix sockets, on asyncio's own streams.

anyio 4 waits for a raw socket with a bare `Future.set_result`: if a request is cancelled at the moment its answer
arrives, the event loop reports an InvalidStateError that nobody can catch. anyio also loops without pause while the
other side accepts no connections, where this module waits.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    import aiohttp
    import httpcore

_MOST, _MOST_KEPT, _KEPT_SECONDS = 100, 20, 5.0  # The defaults of httpx.
_AGAIN_SECONDS = 0.01
_BUFFER_BYTES = 1 << 20


def unix_transport(path: str, verify: ssl.SSLContext | bool = True) -> httpx.AsyncHTTPTransport:
    """Return an httpx transport that sends all requests to a unix socket."""
    import httpcore

    context = httpx.create_ssl_context(verify=verify) if isinstance(verify, bool) else verify
    transport = httpx.AsyncHTTPTransport(verify=context)
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=context,
        max_connections=_MOST,
        max_keepalive_connections=_MOST_KEPT,
        keepalive_expiry=_KEPT_SECONDS,
        uds=path,
        network_backend=_backend(),
    )
    return transport


def _backend() -> httpcore.AsyncNetworkBackend:
    import httpcore

    class Backend(httpcore.AnyIOBackend):
        """Connects to unix sockets."""

        async def connect_unix_socket(
            self, path: str, timeout: float | None = None, socket_options: Any = None
        ) -> httpcore.AsyncNetworkStream:
            """Connect to a unix socket. Errors: those of httpcore."""
            with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
                async with asyncio.timeout(timeout):
                    connected = await _connected(path)
                    reader, writer = await asyncio.open_unix_connection(sock=connected, limit=_BUFFER_BYTES)
            return _stream(reader, writer)

    return Backend()


async def _connected(path: str) -> socket.socket:
    """Return a connected socket, as soon as the other side accepts connections."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.setblocking(False)
    try:
        while True:
            try:
                made.connect(path)
            except BlockingIOError:
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                check_listener(made, path)
                return made
    except BaseException:
        made.close()
        raise


def unix_connector(path: str) -> aiohttp.UnixConnector:
    """Return an aiohttp connector to a unix socket on which this user or root listens."""
    import aiohttp
    from aiohttp.client_exceptions import UnixClientConnectorError

    class Connector(aiohttp.UnixConnector):
        """Checks who listens before anything is sent."""

        async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> Any:
            made = await super()._create_connection(req, traces, timeout)
            try:
                assert made.transport is not None  # noqa: S101
                check_listener(made.transport.get_extra_info("socket"), path)
            except OSError as error:
                made.close()
                raise UnixClientConnectorError(path, req.connection_key, error) from error
            return made

    return Connector(path)


def check_listener(connected: socket.socket, path: str) -> None:
    """Check that this user or root listens on a connected unix socket. Errors: ConnectionRefusedError otherwise.

    Another user may listen at a path that somebody emptied, and pass on what is sent there. Root may listen for
    everybody. Source: unix(7), SO_PEERCRED; Linux only.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", told)
    if uid not in (os.getuid(), 0):
        raise ConnectionRefusedError(errno.ECONNREFUSED, "another user listens there", path)


def _stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> httpcore.AsyncNetworkStream:
    import httpcore

    class Stream(httpcore.AsyncNetworkStream):
        """One connection."""

        async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            """Return the bytes that have arrived, b"" at the end."""
            with _translated(httpcore.ReadTimeout, httpcore.ReadError):
                async with asyncio.timeout(timeout):
                    return await reader.read(max_bytes)

        async def write(self, buffer: bytes, timeout: float | None = None) -> None:
            """Send all bytes of the buffer."""
            if buffer:
                with _translated(httpcore.WriteTimeout, httpcore.WriteError):
                    async with asyncio.timeout(timeout):
                        writer.write(buffer)
                        await writer.drain()

        async def aclose(self) -> None:
            """Close the connection."""
            writer.close()

        async def start_tls(
            self,
            ssl_context: ssl.SSLContext,
            server_hostname: str | None = None,
            timeout: float | None = None,
        ) -> httpcore.AsyncNetworkStream:
            """Encrypt the connection from now on."""
            with _translated(httpcore.ConnectTimeout, httpcore.ConnectError):
                await writer.start_tls(
                    ssl_context, server_hostname=server_hostname, ssl_handshake_timeout=timeout
                )
            return self

        def get_extra_info(self, info: str) -> Any:
            """Return information about the connection, such as whether the other side has closed it."""
            return reader.at_eof() if info == "is_readable" else writer.get_extra_info(info)

    return Stream()


@contextmanager
def _translated(late: type[Exception], failed: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:
        raise failed(str(error)) from error
