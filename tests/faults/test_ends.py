"""What becomes of session and kernel, whatever happens to either of them or to who uses them."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from jupyter_client import BlockingKernelClient

from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.kernels.conftest import SMALL
from tests.kernels.page import page, post
from tests.manager.world import configure, ended, kernels, kill_manager, run, until
from tests.processes import QUICKLY, Server, Shell, server, until_ready
from tests.test_cli import type_in

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter"), pytest.mark.timeout(180)]
both = pytest.mark.parametrize("kind", ["owned", "attached"])
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
PROGRAMS = {
    "nbclient": ["-c", "from nbclient.cli import main; main()", "in.ipynb"],
    "papermill": ["-m", "papermill", "in.ipynb", "out.ipynb"],
}
BUSY = "import time; print('busy', flush=True); time.sleep(100)"


async def the_session(service: SessionService, kind: str) -> SessionInfo:
    """The session of the kernel that was started."""
    rows = (await service.list()).sessions
    assert len(rows) == 1, rows
    return rows[0]


async def begin(service: SessionService, state: Path, kind: str) -> None:
    """The grace time is short, and the session to attach to is there."""
    configure(state, owner_grace=0.5)
    if kind == "attached":
        await run(service, "demo", resources=SMALL)


async def fate(service: SessionService, row: SessionInfo, kind: str, why: str) -> None:
    """An owned session ends for that reason, an attached one goes on."""
    if kind == "owned":
        assert why in (await ended(service, row)).status_info
        return
    await asyncio.sleep(1.2)
    now = await service.get("local", row.id)
    assert (now.status, now.restarts) == ("RUNNING", 0)
    outputs = [output async for output in service.execute("local", row.id, "print(x)")]
    assert outputs[0].content["text"] == "1\n"


@contextmanager
def notebook(made: Server, kind: str) -> Iterator[tuple[str, Shell]]:
    """An open notebook of a server, in which x is 1: the id of its kernel, and where a person types."""
    body = {"path": "one.ipynb", "type": "notebook", "name": "", "kernel": {"name": kind}}
    uid = made.ask("POST", "api/sessions", body)["kernel"]["id"]
    client = BlockingKernelClient(connection_file=str(made.folder / "runtime" / f"kernel-{uid}.json"))
    client.load_connection_file()
    until_ready(client, 60)
    shell = Shell(client, lambda: made.ask("POST", f"api/kernels/{uid}/interrupt"))
    shell.run("x = 1")
    yield uid, shell
    client.stop_channels()


# What the notebook outlives.


async def interrupt(service: SessionService, made: Server, uid: str, shell: Shell) -> None:
    assert "KeyboardInterrupt" in shell.run(BUSY, on_text={"busy": shell.interrupt}).error


async def restart(service: SessionService, made: Server, uid: str, shell: Shell) -> None:
    made.ask("POST", f"api/kernels/{uid}/restart")


async def crash(service: SessionService, made: Server, uid: str, shell: Shell) -> None:
    shell.client.execute(CRASH)


async def leave(service: SessionService, made: Server, uid: str, shell: Shell) -> None:
    shell.client.execute("exit()")


async def manager_killed(service: SessionService, made: Server, uid: str, shell: Shell) -> None:
    await kill_manager()
    await until(lambda: shell.client.is_alive() and made.ask("GET", "jupyter-sessions/sessions")["sessions"])


ACTIONS: dict[Callable[[SessionService, Server, str, Shell], Awaitable[None]], int] = {
    interrupt: 0,
    manager_killed: 0,
    restart: 1,
    crash: 1,
    leave: 1,
}
"""Each with the number of times that it restarts the kernel."""


@both
async def test_what_a_notebook_outlives(
    service: SessionService, state: Path, tmp_path: Path, kind: str
) -> None:
    await begin(service, state, kind)
    with server(state, tmp_path, QUICKLY) as made, notebook(made, kind) as (uid, shell):
        row = await the_session(service, kind)
        expected = 0
        for act, times in ACTIONS.items():
            shell.run("x = 1")
            await act(service, made, uid, shell)
            expected += times

            async def settled() -> bool:
                now = await service.get("local", row.id)
                return now.status == "RUNNING" and now.restarts == expected  # noqa: B023

            await until(settled)
            shell.client.wait_for_ready(30)
            assert ("NameError" in shell.run("x").error) == bool(times), act.__name__
            await asyncio.sleep(1)  # Longer than the server needs to look again whether it must restart.
            now = await service.get("local", row.id)
            assert (now.name, now.restarts, len(kernels(now))) == (row.name, expected, 1), act.__name__
            await until(lambda: made.ask("GET", f"api/kernels/{uid}")["execution_state"] == "idle")


@both
async def test_out_of_memory(service: SessionService, state: Path, tmp_path: Path, kind: str) -> None:
    await begin(service, state, kind)
    with server(state, tmp_path, QUICKLY) as made, notebook(made, kind) as (_, shell):
        row = await the_session(service, kind)
        uid = shell.client.execute("y = b'1' * 2**30; import time; time.sleep(60)")
        assert "out of memory" in (await ended(service, row)).status_info
        while (message := shell.client.get_shell_msg(timeout=20))["parent_header"]["msg_id"] != uid:
            pass
        assert "out of memory" in message["content"]["evalue"]
        shown = []
        while not shown or shown[-1]["content"].get("execution_state") != "dead":
            shown.append(shell.client.get_iopub_msg(timeout=20))
        assert [
            "out of memory" in one["content"]["evalue"] for one in shown if one["msg_type"] == "error"
        ] == [True]
        await until(lambda: not made.ask("GET", "api/kernels"))  # The server forgets a kernel that is dead.
        assert "out of memory" in made.log.read_text()
        assert not (await service.list()).sessions


# What it does not outlive, and what then becomes of the session.


def shut_down(made: Server, uid: str) -> None:
    made.ask("DELETE", f"api/kernels/{uid}")


def close(made: Server, uid: str) -> None:
    (open_,) = made.ask("GET", "api/sessions")
    made.ask("DELETE", f"api/sessions/{open_['id']}")


def server_told_to_end(made: Server, uid: str) -> None:
    made.stop()


def server_killed(made: Server, uid: str) -> None:
    made.process.kill()
    made.process.wait()


@both
@pytest.mark.parametrize(
    ("act", "why"),
    [
        (shut_down, "its notebook was shut down"),
        (close, "its notebook was shut down"),
        (server_told_to_end, "its notebook was shut down"),
        (server_killed, "the notebook that owned it has gone"),
    ],
)
async def test_the_end_of_a_notebook(
    service: SessionService,
    state: Path,
    tmp_path: Path,
    kind: str,
    act: Callable[[Server, str], None],
    why: str,
) -> None:
    await begin(service, state, kind)
    with server(state, tmp_path) as made, notebook(made, kind) as (uid, _):
        row = await the_session(service, kind)
        act(made, uid)
        await fate(service, row, kind, why)


async def test_a_notebook_with_two_kernels(service: SessionService, state: Path, tmp_path: Path) -> None:
    """One that is asked for twice at once has them, in one session, which ends with the last of them."""
    with server(state, tmp_path, QUICKLY) as made:
        for ends_first in (0, 1):
            models = await asyncio.gather(
                *(asyncio.to_thread(post, made, "one.ipynb", "owned") for _ in range(2))
            )
            uids = [model["kernel"]["id"] for model in models]
            assert uids[0] != uids[1], "the server lists a kernel before it has started"
            (row,) = (await service.list()).sessions
            async with page(made, uids[1 - ends_first]) as opened:
                await opened.reply(await opened.execute("x = 42"))
                await asyncio.to_thread(made.ask, "DELETE", f"api/kernels/{uids[ends_first]}")
                uid = await opened.execute("print(x)")
                await opened.reply(uid)
                assert opened.shown(uid) == "42\n"
            await asyncio.to_thread(made.ask, "DELETE", f"api/kernels/{uids[1 - ends_first]}")
            assert (await ended(service, row)).status_info == "its notebook was shut down"


@both
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_program_is_killed(
    service: SessionService, state: Path, tmp_path: Path, kind: str, program: str
) -> None:
    await begin(service, state, kind)
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in ("x = 1", BUSY)])
    made.metadata["kernelspec"] = {"name": kind, "display_name": kind, "language": "python"}
    nbformat.write(made, tmp_path / "in.ipynb")
    process = subprocess.Popen([sys.executable, *PROGRAMS[program]], cwd=tmp_path, stderr=subprocess.DEVNULL)

    async def is_busy() -> bool:
        rows = [row for row in (await service.list()).sessions if row.status == "RUNNING"]
        return bool(rows) and "busy" in await service.logs("local", rows[0].id)

    try:
        await until(is_busy, 60)
        row = await the_session(service, kind)
    finally:
        process.kill()
        process.wait()
    await service.interrupt("local", row.id)
    await fate(service, row, kind, "the notebook that owned it has gone")


@contextmanager
def console(kind: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`jupyter console` in a terminal, and where a person types, who has set x to 1."""
    leader, follower = pty.openpty()
    env = os.environ | {"PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}
    program = [sys.executable, "-m", "jupyter_console", "--kernel", kind]
    process = subprocess.Popen(program, stdin=follower, stdout=follower, stderr=follower, env=env, cwd=folder)
    os.close(follower)
    try:
        type_in(leader, "In [", b"x = 1; print(6 * 7)\r", "42\r\n", "In [")
        yield process, leader
        process.wait(30)
    finally:
        process.kill()
        process.wait()
        os.close(leader)


@both
async def test_leaving_the_console(service: SessionService, state: Path, tmp_path: Path, kind: str) -> None:
    await begin(service, state, kind)
    with console(kind, tmp_path) as (_, leader):
        row = await the_session(service, kind)
        type_in(leader, b"\x04", "exit", b"y\r")
    await fate(service, row, kind, "its notebook was shut down")


@both
async def test_exit_typed_in_the_console(
    service: SessionService, state: Path, tmp_path: Path, kind: str
) -> None:
    """It ends the kernel itself; an attached session gets a new one."""
    await begin(service, state, kind)
    with console(kind, tmp_path) as (_, leader):
        row = await the_session(service, kind)
        type_in(leader, b"exit\r")
    if kind == "owned":
        await ended(service, row)
    else:
        await until(lambda: restarted(service, row))


async def restarted(service: SessionService, row: SessionInfo) -> bool:
    now = await service.get("local", row.id)
    return (now.status, now.restarts, "ended and was restarted" in now.status_info) == ("RUNNING", 1, True)
