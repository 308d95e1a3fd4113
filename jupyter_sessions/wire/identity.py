"""Which process, on which boot of which machine, in which container.

A pid alone says little: it is used again after a while, after a reboot, and in every container. An
`Identity` is believed only if start time, boot and pid namespace agree, and the process is no zombie.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import msgspec
import psutil

_LINUX = sys.platform == "linux"


class Host(msgspec.Struct, frozen=True):
    """Where this process runs. `boot_id` changes at each boot, `pid_ns` with the container."""

    hostname: str
    boot_id: str
    pid_ns: int


class Identity(msgspec.Struct, frozen=True):
    """One process for all time. `start_time` is in clock ticks since boot (milliseconds off Linux)."""

    pid: int
    start_time: int
    boot_id: str
    pid_ns: int

    def alive(self) -> bool:
        """True while this very process runs; a zombie does not."""
        return identify(self.pid) == self


def here() -> Host:
    """The host, boot and container of this process."""
    if not _LINUX:
        return Host(socket.gethostname(), str(int(psutil.boot_time())), 0)
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return Host(socket.gethostname(), boot_id, os.stat("/proc/self/ns/pid").st_ino)


def identify(pid: int) -> Identity | None:
    """The identity of a running process; None if there is none of that pid, or only a zombie."""
    start_time = _start_time(pid)
    host = here()
    return None if start_time is None else Identity(pid, start_time, host.boot_id, host.pid_ns)


def _start_time(pid: int) -> int | None:
    if not _LINUX:
        try:
            process = psutil.Process(pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else int(process.create_time() * 1000)
        except psutil.Error:
            return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *fields = stat.rpartition(")")[2].split()
    return None if state in "ZX" else int(fields[18])
