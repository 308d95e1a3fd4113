"""Connections that others open and leave do not keep a manager from serving, nor fill its log."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import place
from tests.manager.world import V8, Rest, contact, run, says, until

DESCRIPTORS = 200
HALF = b"POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nX-Half"


@pytest.fixture
def few_descriptors(state: Path) -> Iterator[Path]:
    """A manager that may open few files; the folder of its state."""
    with (state / "manager.log").open("ab") as log:
        command = f"ulimit -n {DESCRIPTORS}; exec {sys.executable} -m jupyter_sessions.manager"
        process = subprocess.Popen(["sh", "-c", command], stdout=log, stderr=log, start_new_session=True)
    yield state
    process.terminate()
    process.wait()


def flood(path: str | None, port: int, times: int) -> list[socket.socket]:
    """Half-sent requests; those that find no room in the queue are left out."""
    made = []
    for _ in range(times):
        one = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        one.setblocking(False)
        with suppress(BlockingIOError):
            one.connect(path or ("127.0.0.1", port))
        with suppress(OSError):
            one.send(HALF)
        made.append(one)
    return made


@pytest.mark.asyncio
async def test_half_sent_requests_take_no_manager_down(
    few_descriptors: Path, service: SessionService
) -> None:
    await until(lambda: place().running())
    row = await run(service, "flooded")
    here = contact()
    port = httpx.URL(here.url).port or 0
    log = few_descriptors / "manager.log"
    before = log.stat().st_size

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{here.identity.pid}/fd"))

    quiet = descriptors()
    held = []
    async with Rest(V8) as rest:
        for _ in range(2):
            held += flood(None, port, 300) + flood(here.socket, 0, 100)
            async with asyncio.timeout(30):
                assert (await rest.send("GET", "/folders")).status_code == 200, "at the port"
                assert await says(service, row, "print(6 * 7)") == "42", "at the socket"
            assert descriptors() < DESCRIPTORS - 30, "there is room for sessions"
    await until(lambda: descriptors() < quiet + 16, 60)
    assert log.stat().st_size < before + 20_000
    assert "connections of a socket are in use. This is logged at most once a minute" in log.read_text()
    await says(service, row, "print(1)")
    for one in held:
        one.close()
