"""Starting: what the process gets, what is kept from it, what is said when it fails."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_sessions.manager.runtime.launch import (
    LaunchError,
    Process,
    exit_status,
    launch,
    recover,
    wait,
)
from jupyter_sessions.manager.runtime.process import identify

_LOOK = """
import json, os
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "env": dict(os.environ), "cwd": os.getcwd(), "stdin": os.readlink("/proc/self/fd/0"),
    "fds": sorted(map(int, os.listdir("/proc/self/fd"))), "leader": os.getsid(0) == os.getpid(),
    "masks": [int(status[name], 16) for name in ("SigBlk", "SigIgn")],
}))
"""


class Barred:
    """A fence that cannot be entered."""

    attach = ["/proc/self/no/cgroup.procs"]
    affinity = None
    memory = 0
    oom_score_adj = 0

    def adopt(self, process: Process) -> None:
        raise AssertionError


def test_the_process_gets_exactly_what_was_given(start: Any, tmp_path: Path) -> None:
    env = {"LANG": "C.UTF-8", "PYTHONINSPECT": "", "ODD": "=%d\udcff", "LC_CTYPE": "C.UTF-8"}

    async def scene() -> None:
        with (tmp_path / "kept").open("w") as kept:
            process = await start(_LOOK, env=env, keep_fds=[kept.fileno()])
        assert await wait(process) == 0

    asyncio.run(scene())
    seen = json.loads((tmp_path / "p.log").read_text())
    assert seen["env"] == env
    assert seen["cwd"] == str(tmp_path)
    assert seen["stdin"] == "/dev/null"
    assert seen["fds"] == [0, 1, 2, 3]  # 3 is the folder being listed
    assert seen["leader"]
    python_ignores = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1
    assert seen["masks"] == [0, python_ignores]
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["exit.json", "process.json"]


def test_output_is_appended_and_status_kept(start: Any, tmp_path: Path) -> None:
    async def scene() -> None:
        for code in (3, 4):
            process = await start(f"print({code}); raise SystemExit({code})")
            assert await wait(process) == code
        assert exit_status(process) == 4
        process = await start("import os; os.kill(os.getpid(), 9)")
        assert await wait(process) == -9

    asyncio.run(scene())
    assert (tmp_path / "p.log").read_text() == "3\n4\n"


def test_status_is_of_this_process_and_no_earlier_one(start: Any) -> None:
    async def scene() -> None:
        first = await start("")
        assert await wait(first) == 0
        second = await start("import time; time.sleep(60)")
        assert exit_status(first) is None
        assert exit_status(second) is None

    asyncio.run(scene())


@pytest.fixture
def nothing_new() -> Callable[[], bool]:
    """Whether all that was started since has ended."""

    def running() -> set[int]:
        return {child.pid for child in psutil.Process().children(recursive=True) if identify(child.pid)}

    before = running()
    return lambda: running() <= before


@pytest.mark.parametrize(
    ("argv", "cwd", "sentence"),
    [
        (["no-such-program"], "/", "no-such-program .* PATH"),
        (["/no/such/program"], "/", "/no/such/program cannot be started: No such file"),
        (["/etc/passwd"], "/", "/etc/passwd cannot be started: Permission denied"),
        (["{tmp}/script"], "/", "script cannot be started: the interpreter"),
        (["/bin/true"], "/no/such/folder", "/no/such/folder cannot be entered: No such file"),
        (["/bin/true", "a\0b"], "/", "/bin/true cannot be started: Invalid"),
    ],
)
def test_failure_is_a_sentence(
    argv: list[str], cwd: str, sentence: str, tmp_path: Path, until: Any, nothing_new: Any
) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    argv = [part.format(tmp=tmp_path) for part in argv]
    folder, log = tmp_path / "p", tmp_path / "log"
    with pytest.raises(LaunchError, match=sentence):
        asyncio.run(launch(argv, env={}, cwd=cwd, log=log, folder=folder))
    until(nothing_new)


def test_a_fence_that_cannot_be_entered(start: Any) -> None:
    with pytest.raises(LaunchError, match=r"under its limits through /proc/self/no/cgroup\.procs"):
        asyncio.run(start("", limits_group=Barred()))


@pytest.mark.parametrize("bad", ["log", "folder"])
def test_no_place_for_reports(bad: str, tmp_path: Path) -> None:
    nowhere = Path("/proc/no/such/place")
    log = nowhere if bad == "log" else tmp_path / "log"
    folder = nowhere if bad == "folder" else tmp_path / "p"
    with pytest.raises(LaunchError, match="/proc/no"):
        asyncio.run(launch(["/bin/true"], env={}, cwd="/", log=log, folder=folder))


def test_a_later_manager_learns_how_a_launch_went(start: Any, tmp_path: Path) -> None:
    async def scene() -> None:
        assert recover(tmp_path) is None
        process = await start("import time; time.sleep(60)")
        assert recover(tmp_path / "p") == process

    asyncio.run(scene())
    with pytest.raises(LaunchError):
        asyncio.run(start("", cwd="/no/such/folder"))
    with pytest.raises(LaunchError, match="/no/such/folder"):
        recover(tmp_path / "p")


def test_kept_descriptors_live_as_long_as_the_session(start: Any, tmp_path: Path) -> None:
    async def scene() -> None:
        lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = await start("import time; time.sleep(60)", keep_fds=[lock])
        os.close(lock)
        assert _locked(tmp_path / "lock")
        os.kill(process.child.pid, signal.SIGKILL)
        await wait(process)
        assert not _locked(tmp_path / "lock")

    asyncio.run(scene())


def _locked(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_resource_limits_and_umask(start: Any, tmp_path: Path) -> None:
    code = "import os, resource as r; print(r.getrlimit(r.RLIMIT_CORE), os.umask(0))"

    async def scene() -> None:
        process = await start(code, rlimits={resource.RLIMIT_CORE: (0, 4096)}, umask=0o27)
        assert await wait(process) == 0

    asyncio.run(scene())
    assert (tmp_path / "p.log").read_text() == "(0, 4096) 23\n"


def test_a_launch_given_up_leaves_nothing(tmp_path: Path, until: Any, nothing_new: Any) -> None:
    async def scene() -> None:
        log, folder = tmp_path / "log", tmp_path / "p"
        argv = [sys.executable, "-c", "import time; time.sleep(60)"]
        starting = asyncio.create_task(launch(argv, env={}, cwd="/", log=log, folder=folder))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(scene())
    until(nothing_new)
    assert not (tmp_path / "p" / "spec.json").exists()


def test_the_shim_is_small(start: Any) -> None:
    async def scene() -> None:
        process = await start("import time; time.sleep(60)")
        assert psutil.Process(process.shim.pid).memory_info().rss < 14 << 20
        command = psutil.Process(process.shim.pid).cmdline()
        assert "sleep" not in " ".join(command)

    asyncio.run(scene())
