"""Code that is to run as soon as a manager has taken a session over, when it does not hear the kernel yet."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from jupyter_sessions.channels.kernel_client import Run
from jupyter_sessions.manager.endpoints.kernel_link import KernelLink, KernelSockets, new_key

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
LATE_SECONDS = 0.5


class LateLink(KernelLink):
    """Its subscription takes effect late, as on a busy machine."""

    def _subscribe(self) -> zmq.Socket[bytes]:
        socket = super()._subscribe()
        socket.unsubscribe(b"")
        asyncio.get_running_loop().call_later(LATE_SECONDS, socket.subscribe, b"")
        return socket


@pytest.fixture(scope="module")
def connection() -> Iterator[KernelSockets]:
    """A kernel that runs."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        made = KernelSockets(Path(name) / "s", Path(name) / "kernel.json", new_key())
        made.make()
        kernel = subprocess.Popen([sys.executable, "-m", "ipykernel_launcher", "-f", str(made.shown)])
        yield made
        kernel.kill()
        kernel.wait()


async def text_of(run: Run) -> str:
    """What code prints until its end."""
    said = ""
    while (message := await run.messages.get()) is not None:
        said += message["content"].get("text", "")
    return said


async def test_the_end_of_an_early_run_arrives(connection: KernelSockets) -> None:
    usual = KernelLink(connection, lambda message: None)
    await usual.open()  # From now on it answers at once.
    usual.close("over")
    link = LateLink(connection, lambda message: None)
    before = link.execute("print('before all')")  # Nothing is connected yet.
    opening = asyncio.create_task(link.open())
    await asyncio.sleep(0)
    runs = [link.execute(f"print({number})") for number in range(3)]
    completions = link.complete("import o", 8)
    assert await text_of(before) == "before all\n"
    assert [await text_of(run) for run in runs] == ["0\n", "1\n", "2\n"]
    await completions.replied.wait()
    assert "os" in (completions.reply or {})["matches"]
    assert (await opening)["implementation"] == "ipython"
    link.close("over")


async def test_a_run_on_a_line_that_is_closed_ends_at_once(connection: KernelSockets) -> None:
    link = LateLink(connection, lambda message: None)
    early = link.execute("print(1)")
    link.close("The session was restarted.")
    late = link.execute("print(1)")
    for run in (early, late):
        assert await text_of(run) == ""
        assert (run.reply or {})["evalue"] == "The session was restarted."
