"""Connections that send no request are closed, and those who do are served while others flood the socket."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from jupyter_sessions.manager import connections
from jupyter_sessions.manager.connections import CONNECTIONS, Connections, PortSite
from jupyter_sessions.manager.run.logs import AtMost

HALF = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Half"


@asynccontextmanager
async def serving(header: float, idle: float, most: int, patch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port of a small server with these bounds."""
    patch.setattr(connections, "most_connections", lambda share, at_most: most)
    app = web.Application(middlewares=[connections.middleware])
    app[CONNECTIONS] = Connections(header, idle, 0.1)

    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(float(request.query.get("seconds", "0")))
        return web.Response(text="served")

    app.router.add_get("/", slow)
    runner = web.AppRunner(app)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await PortSite(runner, listener).start()
    yield listener.getsockname()[1]
    await runner.cleanup()


async def half(port: int, sent: bytes = HALF) -> asyncio.StreamReader:
    """A connection on which no whole request comes. It is open as long as its reader is held."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    reader.writer = writer  # type: ignore[attr-defined]
    return reader


async def get(port: int, seconds: float = 0) -> str:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/?seconds={seconds}") as answer,
    ):
        return await answer.text()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "sent", [b"", b"G", HALF, HALF + b": x\r\n" * 50], ids=["nothing", "byte", "half", "more"]
)
async def test_half_a_request_is_closed(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    async with serving(0.2, 60, 100, monkeypatch) as port:
        reader = await half(port, sent)
        async with asyncio.timeout(10):
            with pytest.raises(ConnectionResetError):
                await reader.read()
                raise ConnectionResetError  # An end is as good.


@pytest.mark.asyncio
async def test_who_sends_a_request_is_served_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(0.5, 0.5, 100, monkeypatch) as port:
        assert await get(port, 1.2) == "served"
        reader = await half(port, HALF + b": x\r\n\r\n" + HALF)
        async with asyncio.timeout(10):
            assert b"served" in await reader.readuntil(b"served")
            with pytest.raises(ConnectionResetError):
                await reader.read()
                raise ConnectionResetError


@pytest.mark.asyncio
async def test_requests_are_served_in_a_flood(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(60, 60, 40, monkeypatch) as port:
        busy = asyncio.create_task(get(port, 1))
        flood = [await half(port) for _ in range(200)]
        async with asyncio.timeout(20):
            assert await asyncio.gather(*(get(port) for _ in range(20))) == ["served"] * 20
            assert await busy == "served", "what is being answered does not make way"
        assert len([line for line in caplog.records if "in use" in line.message]) == 1
        del flood


@pytest.mark.asyncio
async def test_with_all_taken_by_requests_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(60, 60, 4, monkeypatch) as port:
        assert await asyncio.gather(*(get(port, 0.2) for _ in range(12))) == ["served"] * 12


@pytest.mark.asyncio
async def test_without_descriptors_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "_FAILED_SECONDS", 0.01)
    async with serving(60, 60, 4, monkeypatch) as port:
        loop = asyncio.get_running_loop()
        made, tried = loop.sock_accept, 0

        async def accept(listener: socket.socket) -> object:
            nonlocal tried
            tried += 1
            if tried < 50:
                raise OSError(24, "Too many open files")
            return await made(listener)

        monkeypatch.setattr(loop, "sock_accept", accept)
        assert await get(port) == "served"  # The first is still accepted as before.
        async with asyncio.timeout(20):
            assert await get(port) == "served"
        assert tried > 50
        assert [line.message for line in caplog.records if "Too many" in line.message] == [
            "No connection can be accepted: [Errno 24] Too many open files. This is logged at most once a minute."
        ]


def test_a_log_is_bounded() -> None:
    clock = 0.0
    bound = AtMost(3, lambda: clock)
    record = logging.LogRecord("x", logging.ERROR, "file", 1, "said %d", (1,), None)
    other = logging.LogRecord("x", logging.ERROR, "file", 2, "other", (), None)
    assert [bound.filter(record) for _ in range(5)] == [True] * 3 + [False] * 2
    assert bound.filter(other)
    clock = 61.0
    assert bound.filter(record)
    assert record.getMessage() == "said 1 (2 lines were left out)"
