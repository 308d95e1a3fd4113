"""Requests over unix sockets: cancelled in any moment, to a server that is busy, and with errors of httpx."""

from __future__ import annotations

import asyncio
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
import pytest_asyncio

from jupyter_sessions.wire.unix_http import unix_connector, unix_transport
from tests.strangers import only_root, stranger

pytestmark = pytest.mark.asyncio
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


LISTEN = """
import os, socket, sys, time
os.umask(0)
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("ready", flush=True)
time.sleep(60)
"""


@only_root
async def test_nothing_is_sent_to_another_user() -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o777)
    path = str(folder / "s")
    with stranger(LISTEN, path):
        async with httpx.AsyncClient(transport=unix_transport(path), timeout=5) as client:
            with pytest.raises(httpx.ConnectError, match="another user listens there"):
                await client.get("http://localhost/")
        async with aiohttp.ClientSession(connector=unix_connector(path)) as http:
            with pytest.raises(aiohttp.ClientConnectorError, match="another user listens there"):
                await http.ws_connect("http://localhost/")
    shutil.rmtree(folder)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the server listens."""
    return str(tmp_path / "s")


@pytest_asyncio.fixture
async def client(path: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of it."""
    async with httpx.AsyncClient(transport=unix_transport(path), timeout=5) as made:
        yield made


async def test_a_request_that_is_cancelled_as_its_answer_comes_leaves_no_error_in_the_loop(
    path: str, client: httpx.AsyncClient
) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
    answered = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)
        answered.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        for _ in range(5):
            asked = asyncio.create_task(client.get("http://x/"))
            await answered.wait()
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            answered.clear()
            await asyncio.sleep(0)
    assert reported == []


async def test_a_server_that_accepts_nobody_for_a_while_is_waited_for(
    path: str, client: httpx.AsyncClient
) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        waiting[0].connect(path)
        asked = asyncio.create_task(client.get("http://x/"))
        with pytest.raises(httpx.ConnectTimeout):
            await client.get("http://x/", timeout=0.1)
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        (await loop.sock_accept(listening))[0].close()
        accepted, _ = await loop.sock_accept(listening)
        with accepted:
            await loop.sock_recv(accepted, 1 << 16)
            await loop.sock_sendall(accepted, ANSWER)
            assert (await asked).text == "hi"
        for one in waiting:
            one.close()


async def test_what_fails_is_an_error_of_httpx(path: str, client: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ConnectError):
        await client.get("http://x/")

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with await asyncio.start_unix_server(hang_up, path):
        with pytest.raises(httpx.TransportError):
            await client.get("http://x/")


async def test_a_connection_that_was_closed_meanwhile_is_not_used_again(
    path: str, client: httpx.AsyncClient
) -> None:
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER)

    async with await asyncio.start_unix_server(serve, path):
        for number in range(1, 4):
            assert (await client.post("http://x/", content=b"")).text == "hi"
            assert len(writers) == number
            writers[-1].close()
            await writers[-1].wait_closed()
            await asyncio.sleep(0.01)
