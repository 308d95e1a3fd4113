"""Telling processes apart, in both ways of knowing them."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from jupyter_sessions.wire import identity
from jupyter_sessions.wire.identity import here, identify, stat_fields


@pytest.fixture(params=[pytest.param(True, id="proc"), pytest.param(False, id="psutil")])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "LINUX", request.param and identity.LINUX)


@pytest.mark.usefixtures("_way")
def test_a_process_from_start_to_end() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = identify(child.pid)
        assert found is not None
        assert found.alive()
        assert found == identify(child.pid)
        assert found != identify(os.getpid())
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not found.alive(), "a zombie is taken for alive"
        assert identify(child.pid) is None
    assert not found.alive()


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("other", [{"start_time": 1}, {"boot_id": "another"}, {"pid_ns": 1}])
def test_the_same_pid_is_not_the_same_process(other: dict[str, int | str]) -> None:
    me = identify(os.getpid())
    assert me is not None
    assert (me.boot_id, me.pid_ns) == (here().boot_id, here().pid_ns)
    assert not msgspec.structs.replace(me, **other).alive()


@pytest.mark.skipif(not identity.LINUX, reason="/proc")
def test_names_with_brackets_and_bytes_that_are_no_text() -> None:
    code = r"open('/proc/self/comm', 'wb').write(b'a) Z (\xff'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        fields = stat_fields(child.pid)
        assert fields is not None
        assert fields[0] == os.getpid()
        child.kill()


@pytest.mark.skipif(not identity.LINUX, reason="/proc")
def test_a_process_whose_first_thread_ended_lives() -> None:
    code = (
        "import ctypes, threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print(flush=True), time.sleep(60))).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        first = identify(child.pid)
        assert first is not None
        child.stdout.readline()
        assert first.alive()
        child.kill()
