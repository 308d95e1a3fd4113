"""The connections to the manager: closed when no request comes in time, and never more than there is room for.

asyncio's own servers accept until no descriptor is left, and then write a traceback for each try. Any user
of the machine can connect to the port, so each listening socket has a number of connections that its
clients may have; when all are taken, the one that has waited longest for a request makes way.
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
"""How long a connection may take to send the header of its first request."""
GRACE_SECONDS = 1.0
"""How long one that waits for its request keeps its place, though all are taken."""
IDLE_SECONDS = 75.0
"""How long it may take for each further one; clients that keep connections do so for less."""
COMPLAIN_SECONDS = 60.0
_FULL_SECONDS, _FAILED_SECONDS = 0.05, 1.0
_BACKLOG = 128
_MANY = 32


def most_connections(share: int, most: int) -> int:
    """Return how many connections may take one `share`-th of this process's descriptors, at most `most`."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if limit == resource.RLIM_INFINITY else max(16, min(most, limit // share))


class ClientConnection:
    """One connection; `since` is when it began to wait for its next request, infinite while one is answered."""

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.since = math.inf
        self.wait(seconds)

    @property
    def open(self) -> bool:
        """Whether it still has its descriptor."""
        return int(self._transport.get_extra_info("socket").fileno()) >= 0

    def busy(self) -> None:
        """A request has come."""
        self._stop()
        self.since = math.inf

    def wait(self, seconds: float) -> None:
        """Close it unless a request comes within so many seconds."""
        self._stop()
        self.since = self._loop.time()
        self._timer = self._loop.call_later(seconds, self.close)

    def close(self) -> None:
        """Close it now."""
        self._stop()
        self._transport.abort()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Connections:
    """All connections of the manager, by the protocol that serves each."""

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
        self._complained = -math.inf

    async def accept(
        self, listener: socket.socket, protocol: Callable[[], asyncio.BaseProtocol], most: int
    ) -> None:
        """Accept connections at a listening socket, at most so many at a time, until cancelled."""
        loop = asyncio.get_running_loop()
        mine: dict[asyncio.BaseProtocol, ClientConnection] = {}
        while True:
            await self._make_room(mine, most)
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # No descriptor or memory is left.
                self._complain(f"No connection can be accepted: {error}.")
                await asyncio.sleep(_FAILED_SECONDS)
                continue
            try:
                transport, made = await loop.connect_accepted_socket(protocol, accepted)
            except Exception as error:
                accepted.close()
                self._complain(f"A connection cannot be served: {error}.")
            else:
                mine[made] = self._known[made] = ClientConnection(transport, self._header_seconds)

    async def _make_room(self, mine: dict[asyncio.BaseProtocol, ClientConnection], most: int) -> None:
        while len(mine) >= min(most, _MANY):
            for protocol in [protocol for protocol, one in mine.items() if not one.open]:
                mine.pop(protocol).busy()
                self._known.pop(protocol, None)
            if len(mine) < most:
                return
            self._complain(f"All {most} connections of a socket are taken.")
            longest = min(mine.values(), key=lambda one: one.since)
            if asyncio.get_running_loop().time() > longest.since + self._grace_seconds:
                longest.close()
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(_FULL_SECONDS)

    def _complain(self, why: str) -> None:
        if time.monotonic() > self._complained + COMPLAIN_SECONDS:
            self._complained = time.monotonic()
            log.warning("%s This is said once a minute.", why)

    async def during(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request, for as long as its connection is not one that waits."""
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
    """Tells connections that send requests from those that do not."""
    return await request.app[CONNECTIONS].during(request, handler)


class Accepting:
    """What a site has for a server: accepts connections until it is closed."""

    def __init__(self, listener: socket.socket, runner: web_runner.BaseRunner, most: int) -> None:
        listener.setblocking(False)
        listener.listen(_BACKLOG)
        self.sockets = [listener]
        assert isinstance(runner, web.AppRunner) and runner.server is not None  # noqa: S101
        work = runner.app[CONNECTIONS].accept(listener, runner.server, most)
        self._task = asyncio.create_task(work)
        self._task.add_done_callback(lambda _: listener.close())

    def close(self) -> None:
        """Accept nothing more."""
        self._task.cancel()


class PortSite(web.SockSite):
    """A loopback port that any user of the machine may connect to."""

    async def start(self) -> None:
        """Accept connections."""
        await web.BaseSite.start(self)
        self._server = Accepting(self._sock, self._runner, most_connections(8, 1024))  # type: ignore[assignment]


class UnixSite(web.UnixSite):
    """A unix socket in a folder that only this user may enter."""

    async def start(self) -> None:
        """Accept connections."""
        await web.BaseSite.start(self)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._path))
        self._server = Accepting(listener, self._runner, most_connections(2, 16384))  # type: ignore[assignment]
