"""Telling processes apart, and waiting for ends that are not ours to see."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any

import msgspec
import psutil
import pytest

from jupyter_sessions.manager.runtime import proc
from jupyter_sessions.manager.runtime.process import Identity, here, identify, wait_gone


def test_this_process_is_alive_and_survives_json() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert me.alive()
    again = msgspec.json.decode(msgspec.json.encode(me), type=Identity)
    assert again == me
    assert (me.boot_id, me.pid_ns) == (here().boot_id, here().pid_ns)


@pytest.mark.parametrize("other", [{"start_time": 1}, {"boot_id": "another"}, {"pid_ns": 1}])
def test_same_pid_is_not_same_process(other: dict[str, Any]) -> None:
    me = identify(os.getpid())
    assert me is not None
    assert not msgspec.structs.replace(me, **other).alive()


def test_no_such_process() -> None:
    assert identify(2**22 + 1) is None


def test_a_zombie_is_gone(until: Any) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        identity = identify(child.pid)
        assert identity is not None
        child.kill()
        until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE)
        assert not identity.alive()
        assert identify(child.pid) is None
        asyncio.run(asyncio.wait_for(wait_gone(identity), 5))


@pytest.mark.parametrize("way", ["pidfd", "polling"])
def test_wait_gone_returns_at_the_end_and_not_before(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "polling":
        monkeypatch.delattr(os, "pidfd_open")

    async def watch(child: subprocess.Popen[bytes]) -> None:
        identity = identify(child.pid)
        assert identity is not None
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait_gone(identity), 0.3)
        child.kill()
        await asyncio.wait_for(wait_gone(identity), 5)

    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        asyncio.run(watch(child))


def test_wait_gone_takes_no_stranger_for_it() -> None:
    me = identify(os.getpid())
    assert me is not None
    asyncio.run(asyncio.wait_for(wait_gone(msgspec.structs.replace(me, start_time=1)), 5))


def test_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of other systems, tried here."""
    monkeypatch.setattr(proc, "LINUX", False)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        me, other = identify(os.getpid()), identify(child.pid)
        assert me is not None
        assert other is not None
        assert me.alive()
        assert child.pid in proc.descendants(os.getpid())
        assert proc.memory(child.pid) > 1 << 20
        child.kill()
        child.wait()
        assert not other.alive()


def test_a_name_with_brackets_is_read(until: Any) -> None:
    code = "open('/proc/self/comm', 'w').write('a) R (b'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        found = proc.stat(child.pid)
        assert found is not None
        assert found.ppid == os.getpid()
        child.kill()
