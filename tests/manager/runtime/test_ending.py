"""Ends: asked for, suffered, unseen; and what is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_sessions.manager.runtime.launch import (
    Process,
    descendants,
    exit_status,
    recover,
    signal_group,
    stop,
    wait,
)
from jupyter_sessions.manager.runtime.process import identify

_SLEEP = "import time; time.sleep(60)"
_READY = "print('ready', flush=True); "
_DAEMON = """
import os, sys, time
if not os.fork():
    os.setsid()
    if not os.fork():
        open(sys.argv[1] + ".new", "w").write(str(os.getpid()))
        os.rename(sys.argv[1] + ".new", sys.argv[1])
        time.sleep(60)
    os._exit(0)
os.wait()
time.sleep(float(sys.argv[2]))
"""
_MANAGER = """
import asyncio, os, sys, time
from jupyter_sessions.manager.runtime.launch import launch
argv = [sys.executable, "-c", sys.argv[2]]
log, folder = sys.argv[1] + "/log", sys.argv[1] + "/p"
asyncio.run(launch(argv, env=dict(os.environ), cwd="/", log=log, folder=folder))
print("started", flush=True)
time.sleep(60)
"""


def test_interrupt_ends_a_sleep(start: Any, tmp_path: Path, until: Any) -> None:
    async def scene() -> None:
        process = await start(_READY + _SLEEP)
        until(lambda: (tmp_path / "p.log").read_text())
        assert signal_group(process, signal.SIGINT)
        assert await wait(process) == -signal.SIGINT
        assert not signal_group(process, signal.SIGINT)

    asyncio.run(scene())
    assert "KeyboardInterrupt" in (tmp_path / "p.log").read_text()


def test_a_stranger_with_the_pid_is_not_signalled(start: Any) -> None:
    async def scene() -> None:
        process = await start(_SLEEP)
        old = msgspec.structs.replace(process.child, start_time=process.child.start_time - 1)
        earlier = msgspec.structs.replace(process, child=old)
        assert not signal_group(earlier, signal.SIGKILL)
        assert process.child.alive()

    asyncio.run(scene())


def test_stop_is_polite_first(start: Any, tmp_path: Path, until: Any) -> None:
    polite = "import signal, sys; signal.signal(15, lambda *_: sys.exit(7)); "

    async def scene() -> None:
        process = await start(polite + _READY + _SLEEP)
        until(lambda: (tmp_path / "p.log").read_text())
        assert await stop(process, 30) == 7

    asyncio.run(scene())


def test_stop_is_firm_then(start: Any, tmp_path: Path, until: Any) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); "

    async def scene() -> None:
        process = await start(deaf + _READY + _SLEEP)
        until(lambda: (tmp_path / "p.log").read_text())
        began = time.monotonic()
        assert await stop(process, 0.3) == -signal.SIGKILL
        assert 0.3 <= time.monotonic() - began < 10
        assert await stop(process, 30) == -signal.SIGKILL

    asyncio.run(scene())


@pytest.mark.parametrize("end", ["stop", "by itself"])
def test_daemons_end_with_their_session(end: str, start: Any, tmp_path: Path, until: Any) -> None:
    pidfile = tmp_path / "pid"

    async def scene() -> None:
        seconds = "60" if end == "stop" else "0.5"
        process = await start(_DAEMON, str(pidfile), seconds)
        until(pidfile.exists)
        daemon = identify(int(pidfile.read_text()))
        assert daemon is not None
        assert daemon.pid in descendants(process)
        if end == "stop":
            await stop(process, 5)
        else:
            assert await wait(process) == 0
        assert not daemon.alive()
        assert descendants(process) == []

    asyncio.run(scene())


def test_the_shim_takes_no_hint(start: Any, until: Any) -> None:
    async def scene() -> None:
        process = await start(_SLEEP)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            os.kill(process.shim.pid, number)
        assert await stop(process, 30) == -signal.SIGTERM

    asyncio.run(scene())


def test_without_its_shim_a_process_is_still_found(start: Any, until: Any) -> None:
    async def scene() -> None:
        process = await start("import os, time; os.fork(); time.sleep(60)")
        until(lambda: len(descendants(process)) == 2)
        os.kill(process.shim.pid, signal.SIGKILL)
        until(lambda: not process.shim.alive())
        assert len(descendants(process)) == 2
        assert await stop(process, 5) is None
        until(lambda: descendants(process) == [])

    asyncio.run(scene())


def _killed_manager(tmp_path: Path, code: str) -> Process:
    """What a manager started before it was killed."""
    command = [sys.executable, "-c", _MANAGER, str(tmp_path), code]
    package = str(Path(__file__).parents[3])
    env = os.environ | {"PYTHONPATH": package}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as manager:
        assert manager.stdout is not None
        assert manager.stdout.readline() == b"started\n"
        manager.kill()
    process = recover(tmp_path / "p")
    assert process is not None
    return process


def test_sessions_outlive_their_manager(tmp_path: Path) -> None:
    process = _killed_manager(tmp_path, _SLEEP)
    assert process.child.alive()
    assert exit_status(process) is None

    async def scene() -> None:
        waiting = asyncio.create_task(wait(process))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert await stop(process, 10) == -signal.SIGTERM
        assert await waiting == -signal.SIGTERM

    asyncio.run(scene())


def test_a_death_nobody_saw_is_on_record(tmp_path: Path, until: Any) -> None:
    process = _killed_manager(tmp_path, "import time; time.sleep(0.5); raise SystemExit(7)")
    until(lambda: not process.shim.alive())
    assert exit_status(process) == 7
    assert asyncio.run(wait(process)) == 7
