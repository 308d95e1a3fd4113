"""The connections to the manager, limited in number and closed when no request arrives in time.

asyncio's own servers accept until no descriptor is left, and then log a traceback for each attempt. Any user of the
machine can connect to the port. So each listening socket has a limit of connections; at the limit, the connection
that has waited longest for a request is closed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import resource
import socket
import time
from collections.abc import Callable

from aiohttp import web, web_runner
from aiohttp.typedefs import Handler

log = logging.getLogger("jupyter_sessions")

HEADER_SECONDS = 10.0
"""Seconds that a connection may take to send the header of its first request."""
GRACE_SECONDS = 1.0
"""Seconds that a waiting connection is kept at the limit."""
IDLE_SECONDS = 75.0
"""Seconds that a connection may take for each further request; clients keep idle connections for less."""
WARN_SECONDS = 60.0
_FULL_SECONDS, _FAILED_SECONDS = 0.05, 1.0
_BACKLOG = 128
_MANY = 32


def most_connections(share: int, most: int) -> int:
    """Return how many connections may take one `share`-th of this process's descriptors, at most `most`."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if limit == resource.RLIM_INFINITY else max(16, min(most, limit // share))


class ClientConnection:
    """One connection; `since` is when it began to wait for its next request, infinite during a request."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.since = math.inf
        self.wait(seconds)

    @property
    def open(self) -> bool:
        """Whether the connection still has its descriptor."""
        return int(self._transport.get_extra_info("socket").fileno()) >= 0

    def busy(self) -> None:
        """Stop the timer, because a request has arrived."""
        self._stop()
        self.since = math.inf

    def wait(self, seconds: float) -> None:
        """Close the connection unless a request arrives within `seconds`."""
        self._stop()
        self.since = self._loop.time()
        self._timer = self._loop.call_later(seconds, self.close)

    def close(self) -> None:
        """Close the connection now."""
        self._stop()
        self._transport.abort()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Connections:
    """All connections of the manager, by their protocol objects."""

    def __init__(
        self,
        header_seconds: float = HEADER_SECONDS,
        idle_seconds: float = IDLE_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._header_seconds = header_seconds
        self._idle_seconds = idle_seconds
        self._grace_seconds = grace_seconds
        self._known: dict[asyncio.BaseProtocol, ClientConnection] = {}
        self._warned = -math.inf

    async def accept(
        self, listener: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], most: int
    ) -> None:
        """Accept connections on a listening socket, at most `most` at a time, until cancelled."""
        loop = asyncio.get_running_loop()
        mine: dict[asyncio.BaseProtocol, ClientConnection] = {}
        while True:
            await self._make_room(mine, most)
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # No descriptor or memory is left.
                self._warn(f"No connection can be accepted: {error}.")
                await asyncio.sleep(_FAILED_SECONDS)
                continue
            try:
                transport, made = await loop.connect_accepted_socket(protocol, accepted)
            except Exception as error:
                accepted.close()
                self._warn(f"A connection cannot be served: {error}.")
            else:
                mine[made] = self._known[made] = ClientConnection(transport, self._header_seconds)

    async def _make_room(self, mine: dict[asyncio.BaseProtocol, ClientConnection], most: int) -> None:
        while len(mine) >= min(most, _MANY):
            for protocol in [protocol for protocol, one in mine.items() if not one.open]:
                mine.pop(protocol).busy()
                self._known.pop(protocol, None)
            if len(mine) < most:
                return
            self._warn(f"All {most} connections of a socket are in use.")
            longest = min(mine.values(), key=lambda one: one.since)
            if asyncio.get_running_loop().time() > longest.since + self._grace_seconds:
                longest.close()
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(_FULL_SECONDS)

    def _warn(self, why: str) -> None:
        if time.monotonic() > self._warned + WARN_SECONDS:
            self._warned = time.monotonic()
            log.warning("%s This is logged at most once a minute.", why)

    async def during(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request; its connection does not count as waiting meanwhile."""
        one = self._known.get(request.protocol)
        if one is None:
            return await handler(request)
        one.busy()
        try:
            return await handler(request)
        finally:
            if one.open:
                one.wait(self._idle_seconds)


CONNECTIONS = web.AppKey("connections", Connections)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Track which connections have requests."""
    return await request.app[CONNECTIONS].during(request, handler)


class AcceptingServer:
    """The server of a site, which accepts connections until it is closed."""

    def __init__(self, listener: socket.socket, runner: web_runner.BaseRunner, most: int) -> None:
        listener.setblocking(False)
        listener.listen(_BACKLOG)
        self.sockets = [listener]
        assert isinstance(runner, web.AppRunner) and runner.server is not None  # noqa: S101
        work = runner.app[CONNECTIONS].accept(listener, runner.server, most)
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(lambda _: listener.close())

    def close(self) -> None:
        """Stop accepting connections."""
        self._task.cancel()


class PortSite(web.SockSite):
    """A loopback port that any user of the machine may connect to."""

    async def start(self) -> None:
        """Accept connections."""
        await web.BaseSite.start(self)
        self._server = AcceptingServer(self._sock, self._runner, most_connections(8, 1024))  # type: ignore[assignment]


class UnixSite(web.UnixSite):
    """A unix socket in a folder that only this user can enter."""

    async def start(self) -> None:
        """Accept connections."""
        await web.BaseSite.start(self)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        self._server = AcceptingServer(listener, self._runner, most_connections(2, 16384))  # type: ignore[assignment]
