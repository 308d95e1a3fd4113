"""Which process, on which boot of which machine, in which container; and waiting for its end."""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import subprocess
from pathlib import Path

import msgspec
import psutil

from jupyter_sessions.manager.runtime import proc

_POLL_S = 0.2


class Host(msgspec.Struct, frozen=True):
    """Where this process runs: `boot_id` is new at each boot, `pid_ns` in each container."""

    hostname: str
    boot_id: str
    pid_ns: int


class Identity(msgspec.Struct, frozen=True):
    """One process for all time: pids are used again, and start anew in every container.

    `start_time` is in clock ticks since boot; off Linux in milliseconds since 1970.
    """

    pid: int
    start_time: int
    boot_id: str
    pid_ns: int

    def alive(self) -> bool:
        """True while this very process runs; an ended one nobody waited for (a zombie) does not."""
        return identify(self.pid) == self


class Process(msgspec.Struct, frozen=True):
    """A process of a session: the child, its parent the shim, the folder they report to."""

    shim: Identity
    child: Identity
    folder: str


def identify(pid: int) -> Identity | None:
    """The identity of a running process; None when there is none of that pid, or only a zombie."""
    found = proc.stat(pid)
    if found is None:
        return None
    return Identity(pid, found.start_time, _boot_id(), _pid_ns())


def here() -> Host:
    """The host, boot and container this process is in."""
    return Host(socket.gethostname(), _boot_id(), _pid_ns())


@functools.cache
def _boot_id() -> str:
    if not proc.LINUX:
        return _boot_session()
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


def _boot_session() -> str:
    """The name macOS gives each boot; the boot time is no substitute, it moves with the clock."""
    command = ["sysctl", "-n", "kern.bootsessionuuid"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
        return answer.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return str(int(psutil.boot_time()))


@functools.cache
def _pid_ns() -> int:
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


async def wait_gone(identity: Identity) -> None:
    """Return once the process has ended, be it our child or not. A zombie counts as ended."""
    pidfd = _pidfd(identity.pid)
    if pidfd is None:
        while identity.alive():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        return
    try:
        # The descriptor may be of a process that took the pid over: look again.
        if identity.alive():
            await readable(pidfd)
    finally:
        os.close(pidfd)


def _pidfd(pid: int) -> int | None:
    """None where there are no pidfds, none are left, or the process is gone."""
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return None


async def readable(fd: int) -> None:
    """Return once a descriptor can be read, or is at its end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
