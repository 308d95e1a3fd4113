"""A kernel that cannot speak ipc is spoken to over TCP, once it is known to be the session's."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import zmq

from jupyter_sessions.channels.envelopes import Envelopes
from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.manager.endpoints import transport
from jupyter_sessions.manager.endpoints.tcp_forwarder import TcpForwarder
from jupyter_sessions.manager.endpoints.transport import free_ports
from tests.manager.world import until
from tests.strangers import only_root, stranger

LISTEN = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as server:
    print("listens", flush=True)
    while True:
        connection, _ = server.accept()
        connection.sendall(b"evil")
        connection.settimeout(1)
        try:
            got = connection.recv(100)
        except TimeoutError:
            got = b""
        with open(sys.argv[2], "ab") as file:
            file.write(got + b".")
"""


@pytest.fixture
def heard() -> Iterator[Path]:
    """A file that a stranger may write, who cannot enter the folders of tests."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        made = Path(folder) / "heard"
        made.write_bytes(b"")
        made.chmod(0o666)
        yield made


@asynccontextmanager
async def kernel(ports: list[int]) -> AsyncIterator[None]:
    """A program of this process that listens on these ports and says everything back in capitals."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data.upper())
        writer.close()

    servers = [await asyncio.start_server(answer, "127.0.0.1", port) for port in ports]
    try:
        yield
    finally:
        for server in servers:
            server.close()


@asynccontextmanager
async def forward(folder: Path, ports: list[int]) -> AsyncIterator[Path]:
    """Forwarding to these ports; the path of the socket for iopub, which is forwarded as it is."""
    made = TcpForwarder(str(folder / "k"), dict(zip(CHANNELS, ports, strict=True)), lambda: [os.getpid()])
    try:
        yield folder / f"k-{CHANNELS['iopub']}"
    finally:
        made.close()


async def said(path: Path) -> bytes:
    """What is answered to a word."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"secret")
    try:
        return await asyncio.wait_for(reader.read(100), 10)
    finally:
        writer.close()


@pytest.mark.asyncio
async def test_there_and_back(tmp_path: Path) -> None:
    ports = free_ports()
    async with forward(tmp_path, ports) as path:
        await asyncio.sleep(0.2)
        assert not list(tmp_path.iterdir()), "nothing is there before the kernel listens"
        async with kernel(ports):
            await until((tmp_path / "k-1").exists)
            assert await said(path) == b"SECRET"
    assert not list(tmp_path.iterdir())


@only_root
@pytest.mark.asyncio
async def test_a_stranger_who_has_a_port_first_is_told_nothing(tmp_path: Path, heard: Path) -> None:
    ports = free_ports()
    with stranger(LISTEN, str(ports[1]), str(heard)):
        async with kernel([ports[0], *ports[2:]]), forward(tmp_path, ports):
            await asyncio.sleep(0.5)
            assert not (tmp_path / "k-1").exists()
    assert heard.read_bytes() == b""


@only_root
@pytest.mark.asyncio
async def test_a_stranger_who_takes_a_port_over_is_told_nothing(tmp_path: Path, heard: Path) -> None:
    ports = free_ports()
    async with forward(tmp_path, ports) as path:
        async with kernel(ports):
            await until((tmp_path / "k-1").exists)
        with stranger(LISTEN, str(ports[1]), str(heard)):
            assert await said(path) == b""
            await until(lambda: heard.read_bytes())
    assert heard.read_bytes() == b"."


def test_replies_without_envelopes_find_their_way(tmp_path: Path) -> None:
    context = zmq.Context[zmq.Socket[bytes]]()
    back = context.socket(zmq.ROUTER)
    back.bind(f"ipc://{tmp_path}/b-{CHANNELS['shell']}")
    between = Envelopes(f"{tmp_path}/f", f"{tmp_path}/b")
    fronts = [context.socket(zmq.DEALER) for _ in range(2)]
    for number, front in enumerate(fronts):
        front.connect(f"ipc://{tmp_path}/f-{CHANNELS['shell']}")
        front.send_multipart([b"client", b"<IDS|MSG>", b"", _header(number), b"{}", b"{}", b"{}"])
    asked = [back.recv_multipart() for _ in fronts]
    for peer, *frames in reversed(asked):
        assert frames[0] == b"<IDS|MSG>"
        back.send_multipart([peer, b"<IDS|MSG>", b"", b"{}", frames[2], b"{}", b"{}"])
    back.send_multipart([asked[0][0], b"<IDS|MSG>", b"", b"{}", _header(7), b"{}", b"{}"])  # Nobody asked.
    for number, front in enumerate(fronts):
        assert front.poll(5000)
        assert front.recv_multipart()[:5] == [b"client", b"<IDS|MSG>", b"", b"{}", _header(number)]
        assert not front.poll(50)
    between.close()
    context.destroy(0)


def _header(number: int) -> bytes:
    return msgspec.json.encode({"msg_id": f"request {number}"})


def test_ports_are_free_and_none_twice() -> None:
    ports = free_ports()
    assert len(set(ports)) == len(CHANNELS)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports[0]))
        assert not transport._is_free(ports[0])
