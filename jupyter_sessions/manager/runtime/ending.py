"""How processes of sessions end: watch, signal and stop them, and read the reports of their shims.

Everything here also works for a `Process` that an earlier manager started.
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
from jupyter_sessions.manager.runtime.process import Process, here, identify, wait_gone
from jupyter_sessions.manager.runtime.trackers import is_tracker
from jupyter_sessions.wire.files import load

_shims: dict[int, subprocess.Popen[bytes]] = {}


class _Exit(msgspec.Struct):
    """The file that a shim writes when its child has ended."""

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
    """Return the exit code of a process, or the negative number of the signal that killed it.

    None while the process runs, and forever if its shim was killed before it could report.
    """
    found = _exit(process)
    return found.status if found else None


def final_cpu_ms(process: Process) -> int:
    """Return the CPU time in ms of an ended process with all its children; 0 if unknown."""
    found = _exit(process)
    return found.cpu_ms if found else 0


async def wait(process: Process) -> int | None:
    """Return `exit_status` once the process and the processes that it left behind have ended."""
    await wait_gone(process.child)
    await wait_gone(process.shim)
    reap()
    return exit_status(process)


def expect(shim: subprocess.Popen[bytes]) -> None:
    """Remember a child of ours, to reap it when it has ended."""
    reap()
    _shims[shim.pid] = shim


def reap() -> None:
    """Reap the shims that have ended; init reaps those that an earlier manager started."""
    for pid, shim in list(_shims.items()):
        if shim.poll() is not None:
            del _shims[pid]


def signal_group(process: Process, signum: int) -> bool:
    """Send a signal to the process group of a process; return False if the process has ended."""
    if not process.child.alive():
        return False
    try:
        os.killpg(process.child.pid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True


async def stop(process: Process, grace: float, *, alone: bool = False) -> int | None:
    """Send SIGTERM, and after `grace` seconds SIGKILL to all that is left; return the exit status.

    SIGTERM goes to the process group, or only to the process if `alone`. The shim gives resource trackers some more
    time.
    """
    if alone:
        running = process.child.alive()
        if running:
            send(process.child.pid, signal.SIGTERM)
    else:
        running = signal_group(process, signal.SIGTERM)
    if running:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wait_gone(process.child), grace)
    kill(process, spare=True)
    return await wait(process)


def kill(process: Process, *, spare: bool = False) -> bool:
    """Send SIGKILL to a process and all its descendants; return True if none were left.

    With `spare`, resource trackers are spared.
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
    """Return the pids of a process and its descendants; daemons are found only while its shim lives."""
    if process.shim.alive():
        return proc.descendants(process.shim.pid)
    # The process may be of another machine or container, and the pid may belong to another process by now.
    child, host, current = process.child, here(), identify(process.child.pid)
    same_place = (child.boot_id, child.pid_ns) == (host.boot_id, host.pid_ns)
    if not same_place or (current is not None and current != child):
        return []
    found = proc.in_session(process.child.pid)
    return list(dict.fromkeys(below for pid in found for below in (pid, *proc.descendants(pid))))


def send(pid: int, signum: int) -> None:
    """Send a signal to a process, unless it has ended or belongs to another user."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signum)


def describe_exit(status: int | None) -> str:
    """Return an exit status in words."""
    if status is None:
        return "exit status unknown"
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"
