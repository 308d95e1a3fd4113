"""Small real servers that receive messages: a webhook, and a mail server."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


class Received:
    """What has arrived, and where to send it to."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.refuse = 0
        self.logins = 0
        self._arrived = asyncio.Condition()

    async def take(self, body: str, headers: dict[str, str] | None = None) -> None:
        async with self._arrived:
            self.bodies.append(body)
            self.headers.append(headers or {})
            self._arrived.notify_all()

    async def until(self, count: int, seconds: float = 30) -> list[str]:
        """What has arrived, once it is so much."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.bodies) >= count)
        return self.bodies


@asynccontextmanager
async def webhook() -> AsyncIterator[Received]:
    """A server that takes POST at any address, apart from the first `refuse` times."""
    received = Received()

    async def post(request: web.Request) -> web.Response:
        if received.refuse:
            received.refuse -= 1
            return web.Response(status=503)
        await received.take(await request.text(), dict(request.headers))
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_post("/{path:.*}", post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    received.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield received
    await runner.cleanup()


@asynccontextmanager
async def mail_server(scheme: str = "smtp", tls: ssl.SSLContext | None = None) -> AsyncIterator[Received]:
    """A server that takes mail as RFC 5321 has it, from anybody, with TLS from the start (smtps) or after STARTTLS."""
    received = Received()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 tiny\r\n")
        while line := await reader.readline():
            word = line[:4].upper()
            if word == b"EHLO":
                writer.write(b"250-tiny\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n" if tls else b"250 tiny\r\n")
                continue
            if word == b"STAR" and tls:
                writer.write(b"220 go on\r\n")
                await writer.start_tls(tls)
                continue
            if word == b"AUTH":
                received.logins += 1
                writer.write(b"235 ok\r\n")
                continue
            if word == b"DATA":
                writer.write(b"354 go on\r\n")
                lines = []
                while (part := await reader.readline()) != b".\r\n":
                    lines.append(part)
                await received.take(b"".join(lines).decode())
            writer.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")
            if word == b"QUIT":
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls if scheme == "smtps" else None)
    received.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield received
