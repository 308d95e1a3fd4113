"""Facts about running processes, from /proc on Linux and from psutil elsewhere."""

from __future__ import annotations

import os
from typing import NamedTuple

import psutil

from jupyter_sessions.wire.identity import LINUX, stat_fields

_TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


class Stat(NamedTuple):
    """The state of a process at one moment.

    `cpu_ms` is its own CPU time, `reaped_ms` that of children it waited for.
    """

    ppid: int
    session: int
    cpu_ms: int
    reaped_ms: int
    start_time: int
    threads: int = 1


def _read(path: str) -> str:
    """Read a file of /proc unbuffered: such files are read often, and the kernel generates them at each read."""
    with open(path, "rb", buffering=0) as file:
        return file.read().decode(errors="replace")


def stat(pid: int) -> Stat | None:
    """Return the state of a process, or None if there is none, or only a zombie."""
    if not LINUX:
        return _psutil_stat(pid)
    number = stat_fields(pid)
    if number is None:
        return None
    cpu, reaped = (number[10] + number[11]), (number[12] + number[13])
    return Stat(number[0], number[2], _ms(cpu), _ms(reaped), number[18], number[16])


def _ms(ticks: int) -> int:
    return ticks * 1000 // _TICKS_PER_S


def _psutil_stat(pid: int) -> Stat | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            cpu = process.cpu_times()
            reaped = getattr(cpu, "children_user", 0.0) + getattr(cpu, "children_system", 0.0)
            start = int(process.create_time() * 1000)
            own = int((cpu.user + cpu.system) * 1000)
            return Stat(process.ppid(), _session(pid), own, int(reaped * 1000), start, process.num_threads())
    except psutil.Error:
        return None


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def children(pid: int) -> list[int]:
    """Return the pids of direct children, including zombies."""
    if not LINUX:
        return [child for child in psutil.pids() if (s := stat(child)) and s.ppid == pid]
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        texts = [_read(f"/proc/{pid}/task/{thread}/children") for thread in threads]
    except OSError:
        # The kernel has no `children` file, or a thread has ended meanwhile.
        if stat(pid) is None:
            return []
        return [child for child in everyone() if (s := stat(child)) and s.ppid == pid]
    return [int(child) for text in texts for child in text.split()]


def everyone() -> list[int]:
    """Return the pids of all processes."""
    return list(psutil.pids())


def descendants(pid: int) -> list[int]:
    """Return the pids of all living descendants of a process, nearest first.

    This process and its descendants are left out: a manager that was started in a session does not belong to the
    session.
    """
    found: list[int] = [os.getpid()]
    level = [pid]
    while level:
        level = [child for parent in level for child in children(parent) if child not in found]
        found.extend(level)
    return [child for child in found[1:] if stat(child) is not None]


def in_session(leader: int) -> list[int]:
    """Return the pids of all living processes in a leader's POSIX session."""
    return [pid for pid in everyone() if (s := stat(pid)) and s.session == leader]


def io_bytes(pid: int) -> tuple[int, int] | None:
    """Return the bytes that a process has read from and written to disks, or None if unknown."""
    if not LINUX:
        return None
    try:
        lines = _read(f"/proc/{pid}/io").splitlines()
    except OSError:
        return None
    amounts = dict(line.split(": ") for line in lines)
    return int(amounts["read_bytes"]), int(amounts["write_bytes"])


def memory(pid: int) -> int:
    """Return the bytes in use without file caches, which the kernel can drop; shared memory counts in full."""
    if not LINUX:
        return _resident(pid)
    return _sum_of_kib(f"/proc/{pid}/status", ("RssAnon:", "RssShmem:"))


def share_of_memory(pid: int) -> int:
    """Return the bytes in use, with each shared page divided among its users.

    This is slow: tens of ms for many GiB.
    """
    if not LINUX:
        return _resident(pid)
    shares = _sum_of_kib(f"/proc/{pid}/smaps_rollup", ("Pss_Anon:", "Pss_Shmem:"))
    return shares or memory(pid)


def _sum_of_kib(path: str, keys: tuple[str, ...]) -> int:
    try:
        lines = _read(path).splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(keys))


def _resident(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
