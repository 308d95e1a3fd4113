"""Servers that answer too much: the backend is left out with the reason, and this process works on."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache

import pytest
from aiohttp import web

from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Query
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import BadAnswer
from jupyter_sessions.service import SessionService
from tests.backends.small_manager import SmallManager, serving
from tests.resources.watching import forget_peak, longest_stop, peak_memory

pytestmark = pytest.mark.asyncio

MIB = 1024**2
MOST_STOP = 2.0
"""Seconds; it was up to 26 without limits, and takes some tenths."""
MOST_GROWTH = 400 * MIB
Write = Callable[[asyncio.StreamWriter], Awaitable[None]]
HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"
KINDS = ["skaha", "backendai"]
ROW = {
    "skaha": {"id": "a0000000", "name": "demo", "image": "h/p/n:1", "type": "notebook", "status": "Running"},
    "backendai": {"id": "1", "name": "demo", "image": "h/p/n:1", "status": "RUNNING"},
}


@asynccontextmanager
async def answering(write: Write, kind: str) -> AsyncIterator[str]:
    """The URL of a server that answers each request for sessions like this."""
    version = json.dumps({"version": "v8.20240915", "manager": "25.5.2"}).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET / "):
                writer.write(HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(version), version))
            else:
                await write(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}" + ("/skaha" if kind == "skaha" else "")
    server.close()


def body(content: bytes, *fields: bytes) -> Write:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join([HEAD, *(field + b"\r\n" for field in fields)]))
        writer.write(b"Content-Length: %d\r\n\r\n" % len(content))
        writer.write(content)

    return write


def without_end(start: bytes, piece: bytes, *fields: bytes) -> Write:
    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(b"".join([HEAD, *(field + b"\r\n" for field in fields), b"\r\n", start]))
        while True:
            writer.write(piece)
            await writer.drain()

    return write


@cache
def packed(wbits: int) -> bytes:
    """A bomb of 600 MiB."""
    pack = zlib.compressobj(1, wbits=wbits)
    return b"".join([*(pack.compress(b" " * MIB) for _ in range(600)), pack.flush()])


def rows(kind: str, count: int) -> bytes:
    items = b",".join([json.dumps(ROW[kind]).encode()] * count)
    if kind == "skaha":
        return b"[" + items + b"]"
    return b'{"data": {"compute_session_list": {"total_count": %d, "items": [%s]}}}' % (count, items)


WHOLE, MOST = b"Content-Type: application/json", "more than 64 MiB"
ANSWERS: dict[str, tuple[Callable[[str], Write], str]] = {
    "gzip": (lambda kind: body(packed(31), WHOLE, b"Content-Encoding: gzip"), MOST),
    "deflate": (lambda kind: body(packed(15), WHOLE, b"Content-Encoding: deflate"), MOST),
    "raw deflate": (lambda kind: body(packed(-15), b"Content-Encoding: deflate"), MOST),
    "twice": (
        lambda kind: body(gzip.compress(gzip.compress(b"[]")), b"Content-Encoding: gzip, gzip"),
        "not asked for",
    ),
    "brotli": (lambda kind: body(b"x", WHOLE, b"Content-Encoding: br"), "not asked for"),
    "cut off": (
        lambda kind: body(gzip.compress(rows(kind, 9))[:-9], b"Content-Encoding: gzip"),
        "cut off",
    ),
    "damaged": (lambda kind: body(b"x" * 99, WHOLE, b"Content-Encoding: gzip"), "damaged"),
    "without end": (lambda kind: without_end(b'["', b"x" * MIB), MOST),
    "rows": (lambda kind: body(rows(kind, 150_000), WHOLE), "more than 10,000 sessions"),
    "more rows": (lambda kind: body(rows(kind, 300_000), WHOLE), "too many values"),
    "empty lists": (lambda kind: body(b"[" + b"[]," * (20 * MIB) + b"1]", WHOLE), "too many values"),
    "deep": (lambda kind: body(b"[" * (60 * MIB), WHOLE), "64 deep"),
}
"""What a server answers, and what is said of it."""


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("kind", KINDS)
async def test_too_much_is_left_out_and_others_go_on(kind: str, what: str) -> None:
    make, said = ANSWERS[what]
    write = make(kind)
    good = SmallManager()
    good.row("fine")
    async with answering(write, kind) as url, serving(good) as good_url:
        keys = {"access_key": "A", "secret_key": "S"}
        signed = {"url": url, "token": "t"} if kind == "skaha" else {"endpoint": url, **keys}
        options = {
            "lab": {"type": kind, **signed},
            "good": {"type": "backendai", "endpoint": good_url, **keys},
        }
        service = SessionService(
            JupyterSessions(backends=options, enabled_backends=["lab", "good"], default_backend="good")
        )
        await service.list(backend="good")
        forget_peak()
        before = peak_memory()
        asked = asyncio.create_task(service.list())
        stop = await longest_stop(asked)
        listing = await asked
        growth = peak_memory() - before
        await service.close()
    assert [row.name for row in listing.sessions] == ["fine"]
    assert listing.errors.keys() == {"lab"}
    assert said in listing.errors["lab"], listing.errors
    assert stop < MOST_STOP
    assert growth < MOST_GROWTH


@pytest.mark.parametrize("kind", KINDS)
async def test_an_encoding_of_texts_that_decompresses_is_not_used(kind: str) -> None:
    """Python has codecs that do; a server may name one as its character set."""
    write = body(packed(15), b"Content-Type: text/plain; charset=zlib")
    async with answering(write, kind) as url:
        keys = {"access_key": "A", "secret_key": "S"}
        signed = {"url": url, "token": "t"} if kind == "skaha" else {"endpoint": url, **keys}
        service = SessionService(
            JupyterSessions(backends={"lab": {"type": kind, **signed}}, enabled_backends=["lab"])
        )
        forget_peak()
        before = peak_memory()
        listing = await service.list()
        await service.close()
    assert "no JSON" in listing.errors["lab"]
    assert peak_memory() - before < MOST_GROWTH


STREAMS = {
    "a line": without_end(b"event: x\r\ndata: ", b"x" * MIB, b"Content-Type: text/event-stream"),
    "an event": without_end(b"event: x\r\n", b"data: x\r\n" * 1000, b"Content-Type: text/event-stream"),
    "gzip": body(gzip.compress(b"x"), b"Content-Type: text/event-stream", b"Content-Encoding: gzip"),
}


@pytest.mark.parametrize("what", STREAMS)
async def test_events_without_an_end(what: str) -> None:
    async with answering(STREAMS[what], "backendai") as url:
        lab = BackendAI("lab", endpoint=url, access_key="A", secret_key="S")
        client = await lab.client()

        async def read() -> None:
            async with client.events() as events:
                async for _ in events:
                    pass

        forget_peak()
        before = peak_memory()
        reading = asyncio.create_task(read())
        stop = await longest_stop(reading)
        with pytest.raises(
            BadAnswer, match="compressed" if what == "gzip" else "an event of more than 1 MiB"
        ):
            await reading
        await lab.close()
    assert stop < MOST_STOP
    assert peak_memory() - before < 100 * MIB


class LoudManager(SmallManager):
    """A manager whose WebSockets say this."""

    def __init__(self, said: bytes) -> None:
        super().__init__()
        self._said = said

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(self._said.decode())
        await socket.close()
        return socket


FRAME = b'{"status": "continued", "console": %s}'


LOUD: dict[str, Callable[[], bytes]] = {
    "a message of more than 64 MiB": lambda: FRAME % (b'[["stdout", "%s"]]' % (b"x" * (65 * MIB))),
    "too many values": lambda: FRAME % (b"[" + b"[]," * (10 * MIB) + b"1]"),
    "256 deep": lambda: FRAME % (b"[" * 5000 + b"]" * 5000),
    "follow its API": lambda: FRAME % b"[[1, 2, 3]]",
    "not follow its API": lambda: FRAME % b"7",
    "does not follow its API": lambda: b'{"status": ["error"], "console": [["jupyter", []]]}',
}


@pytest.mark.parametrize("why", LOUD)
async def test_messages_of_a_run_that_are_too_much(why: str) -> None:
    manager = LoudManager(LOUD[why]())
    row = manager.row("demo")
    async with serving(manager) as url:
        lab = BackendAI("lab", endpoint=url, access_key="A", secret_key="S")
        await lab.list(Query())

        async def run() -> None:
            async for _ in lab.execute(row["id"], "1"):
                pass

        forget_peak()
        before = peak_memory()
        running = asyncio.create_task(run())
        stop = await longest_stop(running)
        with pytest.raises(BadAnswer, match=why):
            await running
        await lab.close()
    assert stop < MOST_STOP
    assert peak_memory() - before < MOST_GROWTH


async def test_what_runs_may_show_much() -> None:
    shown = json.dumps(["stdout", "x" * (20 * MIB)]).encode()
    manager = LoudManager(b'{"status": "finished", "console": [%s], "exitCode": 0}' % shown)
    row = manager.row("demo")
    async with serving(manager) as url:
        lab = BackendAI("lab", endpoint=url, access_key="A", secret_key="S")
        outputs = [output async for output in lab.execute(row["id"], "1")]
        await lab.close()
    assert [len(one.content["text"]) for one in outputs if one.kind == "stream"] == [20 * MIB]
