"""How processes of sessions end: watching, signalling, stopping, and what their shims wrote down.

All of it works the same on a `Process` that an earlier manager started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

import msgspec

from jupyter_sessions.manager.runtime import proc
from jupyter_sessions.manager.runtime.process import Identity, Process, here, identify, wait_gone
from jupyter_sessions.manager.runtime.trackers import is_tracker
from jupyter_sessions.wire.files import load

_shims: dict[int, subprocess.Popen[bytes]] = {}


class _Exit(msgspec.Struct):
    """The file a shim leaves when its child has ended."""

    pid: int
    status: int
    cpu_ms: int = 0


def _exit(process: Process) -> _Exit | None:
    try:
        found = load(Path(process.folder) / "exit.json", _Exit)
    except OSError:
        return None
    return found if found.pid == process.child.pid else None


def exit_status(process: Process) -> int | None:
    """How it ended: the exit code, or the negative number of the signal that killed it.

    None while it runs, and for ever when its shim was killed before it could tell.
    """
    found = _exit(process)
    return found.status if found else None


def final_cpu_ms(process: Process) -> int:
    """CPU time in ms of an ended process with all its children; 0 when not known."""
    found = _exit(process)
    return found.cpu_ms if found else 0


async def wait(process: Process) -> int | None:
    """Return `exit_status` once the process and what it left behind have ended."""
    await wait_gone(process.child)
    await wait_gone(process.shim)
    reap()
    return exit_status(process)


def expect(shim: subprocess.Popen[bytes]) -> None:
    """Remember a child of ours, to reap it when it has ended."""
    reap()
    _shims[shim.pid] = shim


def reap() -> None:
    """Take leave of shims that ended; those that an earlier manager started are init's to reap."""
    for pid, shim in list(_shims.items()):
        if shim.poll() is not None:
            del _shims[pid]


def signal_group(process: Process, signum: int) -> bool:
    """Send a signal to the process and all in its process group; False when it is gone."""
    if not process.child.alive():
        return False
    try:
        os.killpg(process.child.pid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


async def stop(process: Process, grace: float, *, alone: bool = False) -> int | None:
    """SIGTERM to its group, or to the process `alone`; after `grace` seconds SIGKILL to all that is left.

    Resource trackers are left to its shim, which gives them some more time. Gives the status.
    """
    if (_signal_alone if alone else signal_group)(process, signal.SIGTERM):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wait_gone(process.child), grace)
    kill(process, spare=True)
    return await wait(process)


def _signal_alone(process: Process, signum: int) -> bool:
    if not process.child.alive():
        return False
    send(process.child.pid, signum)
    return True


def kill(process: Process, *, spare: bool = False) -> bool:
    """SIGKILL to the process and all its descendants; True when none was left to kill.

    With `spare` to all but resource trackers.
    """
    spared = {pid for pid in descendants(process) if is_tracker(pid)} if spare else set()
    if not spared:
        signal_group(process, signal.SIGKILL)
    pids = descendants(process)
    for pid in pids:
        if pid not in spared:
            send(pid, signal.SIGKILL)
    return not pids


def descendants(process: Process) -> list[int]:
    """The pids of the process and of all it started; of daemons only while its shim lives."""
    if process.shim.alive():
        return proc.descendants(process.shim.pid)
    if not _ours(process.child):
        return []
    found = proc.in_session(process.child.pid)
    return list(dict.fromkeys(below for pid in found for below in (pid, *proc.descendants(pid))))


def _ours(child: Identity) -> bool:
    """False when the machine or container is another, or the pid belongs to a stranger by now."""
    host = here()
    current = identify(child.pid)
    same_place = (child.boot_id, child.pid_ns) == (host.boot_id, host.pid_ns)
    return same_place and (current is None or current == child)


def send(pid: int, signum: int) -> None:
    """Send a signal to one process, should it still be there and be ours."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signum)


def describe_exit(status: int | None) -> str:
    """An exit status in words."""
    if status is None:
        return "exit status unknown"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
