"""A manager ends while a notebook's code runs or waits: whoever asked gets an answer from the next one."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.identity import own_identity
from tests.faults.test_ends import begin, both
from tests.kernels.clients import connect, shell
from tests.manager.world import ask, configure, kill_manager, reach, run, until
from tests.processes import Shell

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]
signals = pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to end"])
GO = "import pathlib, time; print('began', flush=True)\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.02)\n"
"""Runs until there is such a file."""


async def noted(service: SessionService, row: SessionInfo, text: str = "began") -> None:
    """Wait until the manager has heard that something was printed."""

    async def said() -> bool:
        return text in await service.logs("local", row.id)

    await until(said)


async def next_manager(service: SessionService, row: SessionInfo) -> None:
    """Wait until it has taken over the session."""
    await reach(service, row, "RUNNING")


class Heard:
    """What a client hears, read on both channels by turns: it subscribes again only when it reads."""

    def __init__(self, front: Shell) -> None:
        self._client = front.client
        self._replies: dict[str, dict[str, Any]] = {}
        self._idle: set[str] = set()

    def reply(self, uid: str) -> dict[str, Any]:
        """The reply to a request, once the kernel has gone idle about it; and there is one only."""
        deadline = time.monotonic() + 60
        while uid not in self._replies or uid not in self._idle:
            assert time.monotonic() < deadline, (uid in self._replies, uid in self._idle)
            if self._client.iopub_channel.socket.poll(20):
                self._note(self._client.get_iopub_msg(timeout=1))
            if self._client.shell_channel.socket.poll(20):
                self._note(self._client.get_shell_msg(timeout=1))
        return self._replies[uid]

    def _note(self, message: dict[str, Any]) -> None:
        uid = message["parent_header"].get("msg_id", "")
        if message["msg_type"] == "execute_reply":
            assert uid not in self._replies
            self._replies[uid] = dict(message["content"])
        elif message["content"].get("execution_state") == "idle":
            self._idle.add(uid)


@signals
@pytest.mark.parametrize("owner", [True, False], ids=["owned", "attached"])
async def test_a_cell_that_goes_on(
    service: SessionService, tmp_path: Path, owner: bool, signum: signal.Signals
) -> None:
    """It, and those behind it, are answered, once; it is asked for input meanwhile."""
    row = await run(service, "goes-on")
    go = tmp_path / "go"
    with shell(await connect(service, row, own_identity() if owner else None)) as front:
        hear = Heard(front)
        first = front.client.execute(GO.format(str(go)) + "print(input('name? '))", allow_stdin=True)
        second, third = front.client.execute("6 * 7"), front.client.execute("1 / 0")
        last = front.client.execute("never")
        await noted(service, row)
        await asyncio.sleep(1.1)  # By then it is noted what waits behind a cell that says nothing.
        await kill_manager(signum)
        await next_manager(service, row)
        go.touch()
        assert front.client.get_stdin_msg(timeout=30)["content"]["prompt"] == "name? "
        front.client.input("eva")
        assert [hear.reply(uid)["status"] for uid in (first, second)] == ["ok", "ok"]
        failed = hear.reply(third)
        assert (failed["ename"], failed["execution_count"]) == ("ZeroDivisionError", 3)
        assert hear.reply(last)["status"] == "aborted"
        assert front.run("print(1)").text == "1\n"
        assert (await service.get("local", row.id)).restarts == 0


@signals
async def test_killed_while_a_cell_waits_for_input(service: SessionService, signum: signal.Signals) -> None:
    row = await run(service, "asks")
    with shell(await connect(service, row)) as front:
        hear = Heard(front)
        uid = front.client.execute("print('began'); print(input('a? ') + input('b? '))", allow_stdin=True)
        assert front.client.get_stdin_msg(timeout=30)["content"]["prompt"] == "a? "
        await noted(service, row)
        await kill_manager(signum)
        await next_manager(service, row)
        front.client.input("1")
        assert front.client.get_stdin_msg(timeout=30)["content"]["prompt"] == "b? "
        front.client.input("2")
        assert hear.reply(uid)["status"] == "ok"


async def test_two_managers_one_after_the_other(service: SessionService, tmp_path: Path) -> None:
    row = await run(service, "twice")
    go = tmp_path / "go"
    with shell(await connect(service, row)) as front:
        hear = Heard(front)
        first = front.client.execute(GO.format(str(go)))
        await noted(service, row)
        await kill_manager()
        await next_manager(service, row)
        await kill_manager()
        await next_manager(service, row)
        go.touch()
        assert hear.reply(first)["status"] == "ok"


@signals
async def test_cells_that_end_while_no_manager_lives(
    service: SessionService, tmp_path: Path, signum: signal.Signals
) -> None:
    """What became of them nobody can know, and that is said."""
    row = await run(service, "unseen")
    go, gone = tmp_path / "go", tmp_path / "gone"
    with shell(await connect(service, row)) as front:
        hear = Heard(front)
        first = front.client.execute(GO.format(str(go)))
        second = front.client.execute(f"pathlib.Path({str(gone)!r}).touch()")
        await noted(service, row)
        await asyncio.sleep(1.1)  # As above.
        await kill_manager(signum)
        go.touch()
        await until(gone.exists)
        await asyncio.sleep(0.3)  # It has long been answered then.
        await next_manager(service, row)
        for uid in (first, second):
            answer = hear.reply(uid)
            assert (answer["status"], answer["ename"]) == ("error", "ReplyLost")
        assert front.run("print(1)").text == "1\n"


@both
@pytest.mark.usefixtures("jupyter")
async def test_a_program_goes_on(service: SessionService, state: Path, tmp_path: Path, kind: str) -> None:
    """nbclient, which waits for ever for a reply."""
    await begin(service, state, kind)
    go = tmp_path / "go"
    cells = [nbformat.v4.new_code_cell(code) for code in (GO.format(str(go)), "print(6 * 7)")]
    made = nbformat.v4.new_notebook(cells=cells)
    running = asyncio.create_task(NotebookClient(made, kernel_name=kind).async_execute())
    row = await until(lambda: the_one(service))
    await noted(service, row)
    await kill_manager()
    await next_manager(service, row)
    go.touch()
    async with asyncio.timeout(60):
        await running
    assert made.cells[1].outputs[0].text == "42\n"


async def the_one(service: SessionService) -> SessionInfo | None:
    """The session, once it runs."""
    rows = [row for row in (await service.list()).sessions if row.status == "RUNNING"]
    return rows[0] if rows else None


@signals
async def test_cells_that_wait_for_a_kernel(
    service: SessionService, state: Path, signum: signal.Signals
) -> None:
    configure(state, max_sessions=1)
    holder = await run(service, "holder")
    row = await ask(service, "waits")
    with shell(await connect(service, row)) as front:
        hear = Heard(front)
        first, second = front.client.execute("x = 42"), front.client.execute("print(x)")
        while front.client.get_iopub_msg(timeout=30)["msg_type"] != "stream":
            pass  # The reason for the wait.
        kept = Path(state, "sessions", row.id, "waiting.jsonl")
        await until(lambda: kept.exists() and kept.read_bytes().count(b"\n") == 2)
        assert kept.stat().st_mode & 0o777 == 0o600
        await kill_manager(signum)
        assert (await service.get("local", row.id)).status == "PENDING"
        await service.destroy("local", holder.id)
        assert [hear.reply(uid)["status"] for uid in (first, second)] == ["ok", "ok"]
        assert not kept.exists()
        assert front.run("print(x)").text == "42\n"
        assert front.run("1").reply["execution_count"] == 4  # Each ran once.
