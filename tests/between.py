"""A proxy between a client and a server that does what networks do: delays, resets, half answers, others' answers.

    async with faulty(base_url) as between:
        between.fault = late(2)  # until it is set to None, for requests that `between.on` holds for
        client = Client(between.url)

One request per connection; what the server sends is passed on as it comes, streams and WebSockets too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

Fault = Callable[["Exchange"], Awaitable[None]]


class Exchange:
    """One request, and the way to the client it came from."""

    def __init__(
        self, head: bytes, body: bytes, client: asyncio.StreamWriter, upstream: tuple[str, int]
    ) -> None:
        self.head = head
        self.body = body
        self.client = client
        self._upstream = upstream
        self.method, self.target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The server, which has been sent the request."""
        reader, writer = await asyncio.open_connection(*self._upstream)
        upgrade = b"\r\nupgrade:" in self.head.lower()
        lines = [
            line
            for line in self.head.split(b"\r\n")
            if upgrade or not line.lower().startswith(b"connection:")
        ]
        if not upgrade:
            lines.insert(1, b"Connection: close")
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n" + self.body)
        return reader, writer

    async def whole(self) -> bytes:
        """The server's whole answer."""
        reader, writer = await self.connect()
        data = await reader.read()
        writer.close()
        return data

    def reset(self) -> None:
        """Cut the client's connection without a goodbye."""
        self.client.transport.abort()


class Between:
    """The proxy. `fault` is what happens to requests, `times` how often (-1: always), `on` to which of them.

    `version` is what `advertising` says.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._path = parts.path
        self.url = ""
        self.fault: Fault | None = None
        self.times = -1
        self.on: Callable[[Exchange], bool] = lambda exchange: True
        self.seen: list[str] = []
        self.carried = 0  # bytes of answers that were passed on
        self.open: set[asyncio.StreamWriter] = set()
        self.version = ""

    def break_with(self, fault: Fault, *, times: int = -1, on: str = "", path: str = "") -> None:
        """From now on requests of the method `on` (any if "") to paths that contain `path` meet with a fault."""
        self.fault, self.times = fault, times
        self.on = lambda exchange: on in ("", exchange.method) and path in exchange.target

    def heal(self) -> None:
        """No faults any more."""
        self.fault = None

    def count(self, start: str) -> int:
        """How many requests began like this, for example "POST /session"."""
        return sum(request.startswith(start) for request in self.seen)

    def cut(self) -> None:
        """Reset all connections there are."""
        for writer in self.open:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.open.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._exchange(reader, writer)
        finally:
            self.open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).removesuffix(b"\r\n\r\n")
        headers = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:])
        body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
        exchange = Exchange(head, body, writer, self._upstream)
        self.seen.append(f"{exchange.method} {exchange.target}")
        if self.fault is not None and self.times and self.on(exchange):
            self.times -= 1
            await self.fault(exchange)
        else:
            await self._pass_on(exchange, reader)

    async def _pass_on(self, exchange: Exchange, client: asyncio.StreamReader) -> None:
        reader, writer = await exchange.connect()
        ways = [
            asyncio.create_task(_copy(reader, exchange.client, self._count)),
            asyncio.create_task(_copy(client, writer, len)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        writer.close()

    def _count(self, data: bytes) -> None:
        self.carried += len(data)


async def _copy(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[bytes], object]
) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            count(data)
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def faulty(upstream: str) -> AsyncIterator[Between]:
    """The proxy before a server, on a port of its own."""
    between = Between(upstream)
    server = await asyncio.start_server(between.serve, "127.0.0.1", 0)
    between.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{urlsplit(upstream).path}"
    try:
        yield between
    finally:
        server.close()
        between.cut()


# --- faults ---------------------------------------------------------------------------------------


def late(seconds: float) -> Fault:
    """The answer comes late."""

    async def fault(exchange: Exchange) -> None:
        data = await exchange.whole()
        await asyncio.sleep(seconds)
        exchange.client.write(data)
        await exchange.client.drain()

    return fault


async def refused(exchange: Exchange) -> None:
    """The connection is reset before the server hears of it."""
    exchange.reset()


async def lost(exchange: Exchange) -> None:
    """The server does as asked, and the connection is reset before it says so."""
    await exchange.whole()
    exchange.reset()


async def half(exchange: Exchange) -> None:
    """The server does as asked, and half of its answer arrives."""
    data = await exchange.whole()
    exchange.client.write(data[: len(data) - max(len(data.partition(b"\r\n\r\n")[2]) // 2, 1)])
    await exchange.client.drain()


async def trickle(exchange: Exchange) -> None:
    """The answer comes a byte at a time, ten a second."""
    for byte in await exchange.whole():
        exchange.client.write(bytes([byte]))
        await exchange.client.drain()
        await asyncio.sleep(0.1)


async def silent(exchange: Exchange) -> None:
    """A stream that is opened, and on which nothing comes."""
    exchange.client.write(b"HTTP/1.1 200 Answer\r\nContent-Type: text/event-stream\r\n\r\n")
    await exchange.client.drain()
    await asyncio.sleep(3600)


def answer(
    status: int, body: str = "", kind: str = "text/html", *, after: bool = False, **headers: str
) -> Fault:
    """Somebody else answers; `after` the server did as asked, or in its place."""

    async def fault(exchange: Exchange) -> None:
        if after:
            await exchange.whole()
        lines = [
            f"HTTP/1.1 {status} Answer",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body.encode())}",
        ]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        exchange.client.write("\r\n".join([*lines, "Connection: close", "", body]).encode())
        await exchange.client.drain()

    return fault


@asynccontextmanager
async def advertising(upstream: str, version: str) -> AsyncIterator[Between]:
    """The proxy before a manager that says of itself to be another's of this API version; "" leaves it as it is.

    A manager takes requests of any version, and clients speak the oldest of theirs and its own. So what it says
    of itself is all that has to differ.
    """
    async with faulty(upstream) as between:
        between.version = version
        if version:
            said = json.dumps({"version": version, "manager": "20.03.0"})
            between.break_with(answer(200, said, "application/json"))
            between.on = lambda exchange: exchange.target == "/"
        yield between
