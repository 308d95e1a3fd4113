"""Streams of events from a Jupyter server's extension, and errors in its answers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from jupyter_sessions import errors
from jupyter_sessions.wire import sse, untrusted
from jupyter_sessions.wire.access import SCHEME, ServerInfo
from jupyter_sessions.wire.encoding import encoded

if TYPE_CHECKING:
    import aiohttp

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 4 * sse.KEEP_ALIVE_SECONDS
EVENT_BYTES = 128 * 1024**2
"""The size limit of an event, which may hold the output of a cell: kernels do not limit the output."""
_ERROR_BYTES = 2**20
_BUFFER_BYTES = 2**20
_HINT = "Check that it is still running."


class Streams:
    """Opens streams with aiohttp, which takes a quarter of httpx's time in a cell; imported on first use."""

    def __init__(self, access: ServerInfo, root: str, tls: ssl.SSLContext) -> None:
        self._access = access
        self._root = root
        self._tls = tls
        self._http: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(
        self, method: str, path: str, body: object = None
    ) -> AsyncIterator[AsyncIterator[sse.ServerEvent]]:
        """Open a stream of events. Errors: NotReached, BackendUnavailable, and those that the server reports."""
        import aiohttp
        from yarl import URL

        content = None if body is None else encoded(body)
        try:
            where = URL(self._root + path, encoded=True)
            async with self._session().request(method, where, data=content) as response:
                if not response.ok:
                    raise refused(response.status, await _beginning(response.content))
                yield sse.read(response.content.iter_any(), EVENT_BYTES)
        except aiohttp.ClientConnectorError as error:
            raise errors.NotReached(f"The Jupyter server cannot be reached: {error}.", hint=_HINT) from error
        except sse.EventTooLarge as error:
            raise errors.BadAnswer(
                f"The Jupyter server gave an answer that was rejected: {error}."
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise lost(error) from error

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()

    def _session(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._http is None:
            socket = self._access.socket
            self._http = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(socket) if socket else aiohttp.TCPConnector(ssl=self._tls),
                headers={
                    "Authorization": f"{SCHEME} {self._access.token}",
                    "Accept-Encoding": "identity",
                },
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=SILENT_SECONDS),
                read_bufsize=_BUFFER_BYTES,
            )
        return self._http


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    found = bytearray()
    while len(found) < _ERROR_BYTES and (piece := await content.readany()):
        found += piece
    return bytes(found)


def tls_of(access: ServerInfo) -> ssl.SSLContext:
    """Return a TLS context that trusts the server's own certificate, whatever names it has.

    Without a certificate, the context trusts nobody.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if access.ca_file:
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.load_verify_locations(access.ca_file)
    return context


def refused(status: int, content: bytes) -> errors.SessionError:
    """Return the error that an answer reports."""
    try:
        body = untrusted.decode(content)
    except msgspec.DecodeError:
        body = None
    return errors.from_wire(body, status)


def lost(error: Exception) -> errors.SessionError:
    """Return the error for a connection that could not be made, or broke."""
    why = str(error) or type(error).__name__
    return errors.BackendUnavailable(f"The Jupyter server cannot be reached: {why}.", hint=_HINT)
