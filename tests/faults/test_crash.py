"""Sessions outlive their manager, however it ends, and the next one tells what became of each."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.manager.world import (
    V8,
    Rest,
    ask,
    configure,
    contact,
    ended,
    kernels,
    kill_manager,
    managers,
    nothing_left,
    reach,
    run,
    says,
    until,
)

pytestmark = pytest.mark.asyncio

START = "from jupyter_sessions.backends import local; local.start(); print('started', flush=True); input()"
IMPATIENT = "from jupyter_sessions.manager import __main__\nfrom jupyter_sessions.manager.run import supervisor\nsupervisor.READY_SECONDS = 0.5\n__main__.main()"


async def kernel_pid(service: SessionService, row: SessionInfo) -> int:
    return int(await says(service, row, "import os; print(os.getpid())"))


async def kill_kernel(service: SessionService, row: SessionInfo) -> None:
    os.kill(await kernel_pid(service, row), signal.SIGKILL)


async def test_a_manager_that_is_killed(service: SessionService, state: Path) -> None:
    configure(state, max_resources={"cpu": 2})
    less = {"cpu": "0.4"}
    rows = await asyncio.gather(*(run(service, f"lives-{number}", resources=less) for number in range(2)))
    killed, exits = await asyncio.gather(
        run(service, "is-killed", resources=less), run(service, "exits", resources=less)
    )
    leaves = await run(service, "leaves", resources={"cpu": "0.1"})
    waiting = await ask(service, "waiting", resources={"cpu": "2"})
    assert (waiting.status, waiting.status_info) == ("PENDING", "Waiting for 2 CPUs (0.3 free).")
    for number, row in enumerate(rows):
        await says(service, row, f"kept = {number}")
    pid = await kernel_pid(service, killed)
    await says(service, exits, "import os, threading; threading.Timer(0.5, lambda: os._exit(3)).start()")
    politely = asyncio.create_task(says(service, leaves, "import time; time.sleep(0.5); exit()"))
    await asyncio.sleep(0.1)
    await kill_manager()
    await asyncio.gather(politely, return_exceptions=True)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not kernels(exits) and not kernels(killed) and not kernels(leaves))

    for number, row in enumerate(rows):
        again = await service.get("local", row.id)
        assert (again.status, again.started_at) == ("RUNNING", row.started_at)
        assert await says(service, row, "print(kept)") == str(number)
    killed, exits = await ended(service, killed), await ended(service, exits)
    assert (killed.exit_code, killed.status_info) == (-9, "self-terminated: killed by SIGKILL")
    assert (exits.exit_code, exits.status_info) == (3, "self-terminated: exit status 3")
    leaves = await ended(service, leaves)
    assert (leaves.exit_code, leaves.status_info) == (0, "self-terminated: exit status 0")
    assert (await service.get("local", waiting.id)).status == "PENDING"
    assert len(managers(state)) == 1
    for row in rows:
        await service.destroy("local", row.id)
    await reach(service, waiting, "RUNNING")


async def test_killed_while_a_session_starts(service: SessionService) -> None:
    """Whatever it had come to, the session runs in the end, and only once."""
    rows = []
    for number in range(3):
        rows.append(await ask(service, f"starts-{number}"))
        await asyncio.sleep(0.02 * number)
        await kill_manager()
    for row in rows:
        row = await reach(service, row, "RUNNING")
        assert await says(service, row, "print(6 * 7)") == "42"
        assert len(kernels(row)) == 1


async def test_killed_while_a_session_ends(service: SessionService) -> None:
    row = await run(service, "stubborn")
    os.kill(await kernel_pid(service, row), signal.SIGSTOP)  # It cannot even hear that it should end.
    assert (await service.destroy("local", row.id)).status == "TERMINATING"
    await kill_manager()
    row = await ended(service, row)
    assert row.status_info == "user-requested"
    await nothing_left(row)


async def test_killed_while_a_session_restarts(service: SessionService) -> None:
    row = await run(service, "restarts")
    await says(service, row, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); gone = 1")
    restart = asyncio.create_task(service.restart("local", row.id))

    async def restarting() -> bool:
        return (await service.get("local", row.id)).status == "RESTARTING"

    await until(restarting)
    await kill_manager()
    await asyncio.gather(restart, return_exceptions=True)
    row = await reach(service, row, "RUNNING")
    assert await says(service, row, "print('gone' in globals())") == "False"
    assert len(kernels(row)) == 1


async def test_one_that_is_busy_for_long_is_not_given_up(service: SessionService) -> None:
    """A kernel that computes does not answer the new manager; that is no reason to end it."""
    row = await run(service, "overnight")
    busy = asyncio.create_task(says(service, row, "import time; time.sleep(4)"))
    await asyncio.sleep(0.2)
    busy.cancel()  # Who is broken off would look what became of the session, and start a manager for it.
    await asyncio.gather(busy, return_exceptions=True)
    await kill_manager()
    with subprocess.Popen([sys.executable, "-c", IMPATIENT], start_new_session=True) as manager:
        await until(local.find)
        assert contact().identity.pid == manager.pid
        assert await says(service, row, "print('next')") == "next"
        assert (await service.get("local", row.id)).status == "RUNNING"
        manager.terminate()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_what_runs_silently_is_in_use_for_the_next_manager_too(
    service: SessionService, tmp_path: Path, end: signal.Signals
) -> None:
    """What told the first one so, the next one has not heard."""
    cell = "import os, time\nopen('cell', 'x').close()\nwhile not os.path.exists('gate'): time.sleep(0.2)"
    command = "touch command; until [ -e gate ]; do sleep 0.5; done; touch done"
    asked = {"idle_timeout": 6, "cwd": str(tmp_path)}
    rows = await asyncio.gather(run(service, "cell", **asked), run(service, "command", **asked))
    busy = asyncio.create_task(says(service, rows[0], cell))
    async with Rest(V8) as rest:
        asked = {"mode": "batch", "options": {"exec": command}}
        assert (await rest.send("POST", f"/session/{rows[1].id}", asked)).status_code == 200
    await until(lambda: (tmp_path / "cell").exists() and (tmp_path / "command").exists())
    await kill_manager(end)
    await asyncio.gather(busy, return_exceptions=True)
    assert {row.status for row in (await service.list()).sessions} == {"RUNNING"}
    await asyncio.sleep(14)
    assert {row.status for row in (await service.list()).sessions} == {"RUNNING"}
    (tmp_path / "gate").touch()
    for row in rows:
        row = await ended(service, row)
        assert row.status_info == "idle-timeout: it was not used for 6 s"
    assert (tmp_path / "done").exists()


async def test_cpu_time_of_what_has_ended_stays_counted(service: SessionService, state: Path) -> None:
    """Without control groups: a later manager does not see those processes any more."""
    configure(state, cgroups=False)
    spin = "import time\nend = time.process_time() + {}\nwhile time.process_time() < end: pass"
    row = await run(service, "counts")
    async with Rest(V8) as rest:
        command = f"{sys.executable} -c '{spin.format(2)}'"
        asked = {"mode": "batch", "options": {"exec": command}}
        result = (await rest.send("POST", f"/session/{row.id}", asked)).json()["result"]
        while result["status"] != "finished":
            asked = {"mode": "continue", "runId": result["runId"]}
            result = (await rest.send("POST", f"/session/{row.id}", asked)).json()["result"]
    assert result["exitCode"] == 0
    await kill_manager()
    before = (await service.get("local", row.id)).cpu_credit_used or 0
    assert before > 2000
    await says(service, row, spin.format(1))
    after = (await service.get("local", row.id)).cpu_credit_used or 0
    assert after - before > 900


async def test_a_manager_that_is_told_to_end(service: SessionService, state: Path) -> None:
    row = await run(service, "lives-on")
    await says(service, row, "kept = 1")
    identity = contact().identity
    await kill_manager(signal.SIGTERM)
    assert local.find() is None
    assert kernels(row)
    assert await says(service, row, "print(kept)") == "1"
    assert contact().identity != identity
    assert len(managers(state)) == 1


async def test_sessions_may_end_while_nobody_looks(service: SessionService) -> None:
    """All of them: then there is nothing to adopt, and nothing is listed that is not there."""
    row = await run(service, "alone")
    pid = await kernel_pid(service, row)
    await kill_manager()
    os.kill(pid, signal.SIGTERM)
    await until(lambda: not kernels(row))
    assert (await service.list()).sessions == [] or (await ended(service, row)).exit_code == -15
    row = await ended(service, row)
    assert (row.exit_code, row.status_info) == (-15, "self-terminated: killed by SIGTERM")
    await nothing_left(row)


async def test_its_shim_killed_too(service: SessionService) -> None:
    """Then nobody knows how it ended, and the row says so."""
    row = await run(service, "no-shim")
    pid = await kernel_pid(service, row)
    await kill_manager()
    shim = psutil.Process(pid).ppid()
    os.kill(shim, signal.SIGKILL)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not kernels(row))
    row = await ended(service, row)
    assert (row.exit_code, row.status_info) == (None, "self-terminated: exit status unknown")


async def test_ctrl_c_and_a_closed_terminal(service: SessionService, state: Path) -> None:
    """Whoever started the manager may leave in any way."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", START])
    os.set_blocking(terminal, False)
    seen = bytearray()
    await until(lambda: b"started" in _more(terminal, seen))
    row = await run(service, "lives-on")
    identity = contact().identity
    os.write(terminal, b"\x03")  # Ctrl-C, for the whole foreground process group.
    await until(lambda: b"KeyboardInterrupt" in _more(terminal, seen))
    os.waitpid(pid, 0)
    assert identity.alive()
    os.close(terminal)

    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", START])
    os.set_blocking(terminal, False)
    seen = bytearray()
    await until(lambda: b"started" in _more(terminal, seen))
    os.close(terminal)  # SIGHUP, for all that have it as their terminal.
    os.waitpid(pid, 0)
    assert identity.alive()
    assert await says(service, row, "print(6 * 7)") == "42"
    assert contact().identity == identity
    assert managers(state) == [identity.pid]


def _more(terminal: int, seen: bytearray) -> bytearray:
    with contextlib.suppress(OSError):
        seen += os.read(terminal, 4096)
    return seen


async def test_ctrl_c_of_the_starter_that_started_it(state: Path, service: SessionService) -> None:
    """SIGINT and SIGHUP to the process group that the manager was started from."""
    with subprocess.Popen(
        [sys.executable, "-c", START], stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"started\n"
        row = await run(service, "lives-on")
        os.killpg(starter.pid, signal.SIGINT)
        os.killpg(starter.pid, signal.SIGHUP)
        starter.wait(10)
    assert len(managers(state)) == 1
    assert await says(service, row, "print(6 * 7)") == "42"


async def test_restart(service: SessionService) -> None:
    row = await run(service, "restarts", environ={"GIVEN": "yes"})
    await says(service, row, "gone = 1\nfor _ in range(10**6): pass")
    before = await service.get("local", row.id)
    again = await service.restart("local", row.id)
    assert (again.id, again.name, again.status) == (row.id, row.name, "RUNNING")
    assert (again.resources, again.started_at, again.created_at) == (
        row.resources,
        row.started_at,
        row.created_at,
    )
    assert (again.age or 0) > (before.age or 0)
    assert (again.cpu_credit_used or 0) >= (before.cpu_credit_used or 0) > 0
    assert (again.num_queries or 0) >= (before.num_queries or 0)
    assert (
        await says(service, row, "import os; print('gone' in globals(), os.environ['GIVEN'])") == "False yes"
    )
    await kill_manager()
    last = await service.get("local", row.id)
    assert (last.cpu_credit_used or 0) >= (again.cpu_credit_used or 0)
    assert last.started_at == row.started_at
    assert len(kernels(row)) == 1


async def test_code_runs_as_soon_as_a_manager_is_there(service: SessionService, state: Path) -> None:
    """A request that is sent just when an answer arrives must not make the manager miss the answer."""
    row = await run(service, "first")
    for number in range(20):
        assert await says(service, row, f"kept = {number}") == ""
        await kill_manager()
        local.start()
        assert await asyncio.wait_for(says(service, row, "print(kept)"), 30) == str(number)
