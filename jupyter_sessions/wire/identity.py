"""Identify a process: by its pid and start time, the boot of its machine, and its container.

A pid alone says little: it is reused after a while, after a reboot, and in every container. An `Identity` matches
only if start time, boot and pid namespace agree and the process is not a zombie.
"""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil

from jupyter_sessions.model import ProcessId

LINUX = sys.platform == "linux"


class Host(msgspec.Struct, frozen=True):
    """Where a process runs. `boot_id` changes with each boot, `pid_ns` with each container."""

    hostname: str
    boot_id: str
    pid_ns: int


class Identity(ProcessId, frozen=True):
    """A process that can be looked up."""

    def alive(self) -> bool:
        """Return whether this very process runs; a zombie, which has ended but was not waited for, does not."""
        return identify(self.pid) == self


def here() -> Host:
    """Return the host, boot and container of this process."""
    return Host(socket.gethostname(), _boot_id(), _pid_ns())


def identify(pid: int) -> Identity | None:
    """Return the identity of a running process, or None if the pid belongs to no process or to a zombie."""
    start_time = _start_time(pid)
    return None if start_time is None else Identity(pid, start_time, _boot_id(), _pid_ns())


def own_identity() -> Identity:
    """Return the identity of this process."""
    return Identity(os.getpid(), _start_time(os.getpid()) or 0, _boot_id(), _pid_ns())


def stat_fields(pid: int) -> list[int] | None:
    """Return the numbers of /proc/PID/stat from the parent's pid on, or None for a missing process or a zombie.

    Indices are the field numbers of proc(5) minus 4: the name before these fields may hold blanks and brackets.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            state, *rest = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    numbers = [int(field) for field in rest[:19]]
    # A main thread that ended before the other threads shows Z as well, but the process is alive.
    return None if state in b"XxZ" and numbers[16] <= 1 else numbers


def _start_time(pid: int) -> int | None:
    if LINUX:
        numbers = stat_fields(pid)
        return None if numbers is None else numbers[18]
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 1000)
    except psutil.Error:
        return None


@functools.cache
def _boot_id() -> str:
    if not LINUX:
        return _boot_session()
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))


def _boot_session() -> str:
    """Return the UUID that macOS gives each boot.

    The boot time does not identify a boot, because it moves with the clock.
    """
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
