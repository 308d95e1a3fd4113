"""What a session runs besides a kernel: a command instead of it or beside it, a script before it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from jupyter_sessions.errors import NotSupported
from jupyter_sessions.service import SessionService
from tests.manager.test_rest import Listener
from tests.manager.world import (
    Rest,
    ask,
    configure,
    ended,
    kill_manager,
    nothing_left,
    reach,
    run,
    says,
    until,
)

pytestmark = pytest.mark.asyncio

ABOUT = 'echo "$BACKENDAI_SESSION_NAME $GIVEN" >&2; pwd; python -c "import sys; print(sys.executable)"'
UNTIL = "until [ -e gate ]; do sleep 0.02; done; "


async def test_a_batch_session_misses_no_sockets(shared: SessionService) -> None:
    """It has none: its manager looks once a second for those of kernels."""
    row = await ended(shared, await ask(shared, "no-kernel", type="batch", startup_command="sleep 2.5"))
    assert row.result == "SUCCESS" and "RUNNING_DEGRADED" not in row.status_history


async def test_commands_that_end(shared: SessionService, tmp_path: Path) -> None:
    """Each with its output, result and exit code; and with the events that managers send."""
    await shared.backend("local").capacity()
    async with Rest() as rest, Listener(rest, "/events/session?sessionName=*") as listener:
        assert await listener.line() == ": keep-alive"
        fine = await ask(
            shared,
            "all-fine",
            type="batch",
            startup_command=ABOUT,
            environ={"GIVEN": "word"},
            cwd=str(tmp_path),
        )
        fine = await ended(shared, fine)
        names = await listener.names("session_terminated")
    of_session = [name for name in names if name.startswith("session_")]
    assert of_session[:3] == ["session_enqueued", "session_scheduled", "session_started"]
    assert of_session[3:] == ["session_success", "session_terminating", "session_terminated"]
    assert names.index("session_success") < names.index("kernel_terminated")
    success = next(event.json() for event in listener.events if event.name == "session_success")
    assert (success["reason"], success["exitCode"]) == ("task-done", 0)
    assert (fine.type, fine.status_info, fine.result, fine.exit_code) == ("batch", "task-done", "SUCCESS", 0)
    assert {"PENDING", "PREPARING", "RUNNING", "TERMINATING", "TERMINATED"} == fine.status_history.keys()
    said = (await shared.logs("local", fine.id)).splitlines()
    assert said[:2] == ["all-fine word", str(tmp_path)]
    assert Path(said[2]).parent == Path(sys.executable).parent  # The image's, by whichever of its names.

    for name, command, why, code in (
        ("it-fails", "echo so far; exit 3", "task-failed: exit status 3", 3),
        ("is-killed", "kill -9 $$", "task-failed: killed by SIGKILL", -9),
        ("not-there", "no-such-program", "task-failed: exit status 127", 127),
    ):
        row = await ended(shared, await ask(shared, name, type="batch", startup_command=command))
        assert (row.result, row.status_info, row.exit_code) == ("FAILURE", why, code)
        assert "RUNNING" in row.status_history
        await nothing_left(row)


async def test_commands_that_run_long(shared: SessionService, tmp_path: Path) -> None:
    """One is ended, one ends while no manager is there, one takes too much memory."""
    greedy = await ask(
        shared, "too-greedy", type="batch", startup_command="exec python -c \"x = b'x' * 10**9\""
    )
    greedy = await ended(shared, greedy)
    assert greedy.status_info.startswith("out of memory: it used more than its 256 MiB")
    assert greedy.result == "FAILURE"

    long, alone = await asyncio.gather(
        run(shared, "runs-long", type="batch", startup_command="echo $$; sleep 1000 & wait"),
        run(shared, "taken-over", type="batch", startup_command=UNTIL + "echo after", cwd=str(tmp_path)),
    )
    with pytest.raises(NotSupported, match="runs its startup command and takes no code"):
        await says(shared, long, "1")
    with pytest.raises(NotSupported, match="batch session"):
        await shared.connection("local", long.id)
    await kill_manager()
    (tmp_path / "gate").touch()
    alone = await ended(shared, alone)
    assert (alone.result, alone.exit_code, alone.status_info) == ("SUCCESS", 0, "task-done")
    assert await shared.logs("local", alone.id) == "after\n"

    long = await shared.restart("local", long.id)
    assert (long.status, long.restarts, long.result) == ("RUNNING", 1, "UNDEFINED")
    pids = await until(lambda: _two_lines(shared, long.id))
    assert pids[0] != pids[1]
    await shared.destroy("local", long.id)
    long = await ended(shared, long)
    assert (long.status_info, long.result) == ("user-requested", "FAILURE")
    await nothing_left(long)


async def _two_lines(shared: SessionService, id: str) -> list[str]:
    lines = (await shared.logs("local", id)).split()
    return lines if len(lines) > 1 else []


async def test_a_script_before_and_a_command_beside(shared: SessionService, tmp_path: Path) -> None:
    cwd, seen = str(tmp_path), "print(open('made').read())"
    script = "#!/bin/sh\r\necho $BACKENDAI_SESSION_NAME > made\r\necho prepared\r\n"
    beside = "echo beside $$; touch started; exec sleep 1000"
    row = await run(shared, "prepared", bootstrap_script=script, startup_command=beside, cwd=cwd)
    assert await says(shared, row, seen) == "prepared"
    await until((tmp_path / "started").exists)
    logs = await shared.logs("local", row.id)
    assert logs.startswith("prepared\n")
    pid = re.findall(r"^beside (\d+)$", logs, re.MULTILINE)[0]
    assert os.path.exists(f"/proc/{pid}")
    (tmp_path / "started").unlink()
    (tmp_path / "made").unlink()
    row = await shared.restart("local", row.id)
    await until((tmp_path / "started").exists)  # With the kernel, for it ended with it.
    assert not os.path.exists(f"/proc/{pid}")
    assert not (tmp_path / "made").exists()
    await kill_manager()
    await shared.destroy("local", row.id)
    await nothing_left(await ended(shared, row))

    failing = "echo one\necho two >&2\necho\necho three\necho four\nexit 7"
    row = await ask(shared, "unprepared", bootstrap_script=failing)
    row = await reach(shared, row, "ERROR")
    why = "failed-to-start: the bootstrap script failed (exit status 7): two | three | four"
    assert (row.status_info, row.exit_code) == (why, 7)
    assert "RUNNING" not in row.status_history
    await nothing_left(row)


async def test_the_end_while_a_script_runs(state: Path, service: SessionService, tmp_path: Path) -> None:
    """Of the session: nothing is left of it. Of the manager: the script begins anew, and is there once."""
    configure(state, cgroups=False)
    script = "echo $$ >> pids\n" + UNTIL + "echo done"
    rows = [
        await ask(service, name, bootstrap_script=script, cwd=str(tmp_path)) for name in ("ends", "goes-on")
    ]
    first, second = await until(lambda: _pids(tmp_path, 2))
    await service.destroy("local", rows[0].id)
    assert (await ended(service, rows[0])).status_info == "user-requested"
    await nothing_left(rows[0])
    await kill_manager()
    await service.list()
    third = (await until(lambda: _pids(tmp_path, 3)))[2]
    await until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in (first, second)))
    assert os.path.exists(f"/proc/{third}")
    (tmp_path / "gate").touch()
    row = await reach(service, rows[1], "RUNNING")
    assert "done\n" in await service.logs("local", row.id)


def _pids(folder: Path, count: int) -> list[str]:
    found = (folder / "pids").read_text().split() if (folder / "pids").exists() else []
    return found if len(found) >= count else []
