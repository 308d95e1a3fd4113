"""Who holds the other end of a TCP connection is told truly, and before a byte is sent."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psutil
import pytest

from jupyter_sessions.manager.runtime import peers
from jupyter_sessions.manager.runtime.peers import check_peer, listening_address
from tests.manager.runtime.conftest import Start, Until
from tests.ports import free_port
from tests.strangers import only_root, stranger

pytestmark = pytest.mark.asyncio

LISTEN = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
server = socket.socket(family)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((sys.argv[1], int(sys.argv[2])))
server.listen()
print("ready", flush=True)
"""
ACCEPT = LISTEN + "while True:\n    held = server.accept()\n"
DEFERS = LISTEN.replace(
    "server.listen()", "server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30); server.listen()"
)
LATE = LISTEN + "import time; time.sleep(0.3)\nheld = server.accept()\ntime.sleep(60)\n"
FORKS = (
    LISTEN
    + """
import os, time
while True:
    held, _ = server.accept()
    if os.fork() == 0:
        time.sleep(60)
    held.close()
"""
)


@contextmanager
def connected(port: int, host: str = "127.0.0.1") -> Iterator[socket.socket]:
    with closing(socket.create_connection((host, port))) as connection:
        yield connection


async def listening(start: Start, until: Until, code: str, host: str) -> tuple[int, int]:
    """The pid of a process that listens, and its port."""
    port = free_port()
    process = await start(code, host, str(port))
    until(lambda: any(one.listens and one.local[1] == port for one in peers.tcp_sockets()))
    return process.child.pid, port


def family_of(pid: int) -> list[int]:
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::1", "::"])
@pytest.mark.parametrize("code", [ACCEPT, LATE, FORKS], ids=["accepts", "late", "forks"])
async def test_own_processes_are_known(start: Start, until: Until, host: str, code: str) -> None:
    pid, port = await listening(start, until, code, host)
    reached = listening_address(port, [pid])
    assert reached == ("::1" if ":" in host else "127.0.0.1")
    for address in {reached, "127.0.0.1"} if host == "::" else {reached}:
        with connected(port, address) as connection:
            await check_peer(connection, lambda: family_of(pid), 10)
            if code == LATE:
                break


async def test_another_process_of_the_same_user_is_none(start: Start, until: Until) -> None:
    _, port = await listening(start, until, ACCEPT, "127.0.0.1")
    assert listening_address(port, [os.getpid()]) is None
    with connected(port) as connection, pytest.raises(ConnectionAbortedError):
        await check_peer(connection, lambda: [os.getpid()], 10)


async def test_nothing_is_believed_before_it_is_accepted(start: Start, until: Until) -> None:
    pid, port = await listening(start, until, LISTEN + "import time; time.sleep(60)", "127.0.0.1")
    with connected(port) as connection, pytest.raises(TimeoutError):
        await check_peer(connection, lambda: [pid], 0.2)


async def test_a_connection_that_was_closed_is_none(start: Start, until: Until) -> None:
    code = LISTEN + "server.accept()[0].close()\nimport time; time.sleep(60)"
    pid, port = await listening(start, until, code, "127.0.0.1")
    with connected(port) as connection:
        connection.recv(1)
        with pytest.raises(ConnectionAbortedError):
            await check_peer(connection, lambda: [pid], 10)


@pytest.mark.skipif(not hasattr(socket, "TCP_DEFER_ACCEPT"), reason="Linux has it")
async def test_a_listener_that_waits_for_a_byte_gets_it(start: Start, until: Until) -> None:
    pid, port = await listening(start, until, DEFERS + "server.accept()\n", "127.0.0.1")
    with connected(port) as connection:
        await check_peer(connection, lambda: [pid], 10)


@only_root
async def test_another_user_who_waits_for_a_byte_gets_none() -> None:
    port = free_port()
    defers = DEFERS + "server.accept()\n"
    with (
        stranger(defers, "127.0.0.1", str(port)),
        connected(port) as connection,
        pytest.raises(TimeoutError),
    ):
        await check_peer(connection, lambda: [os.getpid()], 0.3)


@only_root
@pytest.mark.parametrize("code", [ACCEPT, LATE], ids=["accepts", "late"])
async def test_another_user_is_found_out(code: str) -> None:
    port = free_port()
    with stranger(code, "127.0.0.1", str(port)) as other:
        assert listening_address(port, [os.getpid()]) is None
        with connected(port) as connection, pytest.raises(ConnectionAbortedError):
            await check_peer(connection, lambda: [os.getpid()], 10)
        with connected(port) as connection:  # It is told by the process, not by the user.
            if code == ACCEPT:
                await check_peer(connection, lambda: [other.pid], 10)


async def test_without_proc(start: Start, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of other systems, tried here."""
    monkeypatch.setattr(peers, "LINUX", False)
    pid, port = await listening(start, until, ACCEPT, "127.0.0.1")
    assert listening_address(port, [pid]) == "127.0.0.1"
    assert listening_address(port, [os.getpid()]) is None
    with connected(port) as connection:
        await check_peer(connection, lambda: [pid], 10)
    with connected(port) as connection, pytest.raises(TimeoutError):
        await asyncio.wait_for(check_peer(connection, lambda: [os.getpid()]), 0.2)
