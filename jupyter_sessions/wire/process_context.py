"""The limits that this process lives within, and whether it runs in a session itself.

A manager serves many clients: how much a client may have is the client's own affair, and comes with its request.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path

log = logging.getLogger("jupyter_sessions")

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_GROUP = re.compile(r"/jupyter_sessions\.jps-[^/\n]+")
_PARENT = re.compile(r".*/(programs-[0-9a-f]{8}|programs)/(prestart_)?shim\.py")


def bounds(environ: Mapping[str, str], root: Path = Path("/")) -> dict[str, str]:
    """Return the most CPUs and bytes of memory that this process may have, by slot.

    Slots without a limit are left out. Sources: its CPU affinity, and CPU_LIMIT (cores) and MEM_LIMIT (bytes, or
    with K, M, G, T) as JupyterHub sets them. A process in a session has no such limits, because a session that it
    creates runs beside its own.
    """
    if in_session(root):
        return {}
    cpus = [cpu for cpu in (cpu_limit(environ), _affinity()) if cpu is not None]
    memory = mem_limit(environ)
    found = {"cpu": format(min(cpus), "f")} if cpus else {}
    return found | ({"mem": str(memory)} if memory else {})


def visible_devices(environ: Mapping[str, str], root: Path = Path("/")) -> str | None:
    """Return CUDA_VISIBLE_DEVICES of this process, or None if it is not set or the process runs in a session."""
    return None if in_session(root) else environ.get("CUDA_VISIBLE_DEVICES")


def _affinity() -> Decimal | None:
    """Return how many CPUs this process may run on, or None if it may run on all."""
    try:
        mine = len(os.sched_getaffinity(0))
    except AttributeError:
        return None
    return Decimal(mine) if mine < (os.cpu_count() or 1) else None


def cpu_limit(environ: Mapping[str, str]) -> Decimal | None:
    """Return the number of CPUs in CPU_LIMIT, or None."""
    text = environ.get("CPU_LIMIT", "").strip()
    try:
        cpu = Decimal(text) if text else Decimal(0)
    except InvalidOperation:
        log.warning("CPU_LIMIT=%s is not a number and is ignored.", text)
        return None
    return cpu if cpu.is_finite() and cpu > 0 else None


def mem_limit(environ: Mapping[str, str]) -> int | None:
    """Return the number of bytes in MEM_LIMIT, or None."""
    text = environ.get("MEM_LIMIT", "").strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text.upper())
    if match is None:
        if text:
            log.warning("MEM_LIMIT=%s is not an amount of memory and is ignored.", text)
        return None
    return int(Decimal(match[1]) * _UNITS[match[2]]) or None


def in_session(root: Path = Path("/")) -> bool:
    """Return whether this process runs in a session of this machine, by its control groups and its ancestors.

    Environment variables do not tell: they may have been removed, or come from a session elsewhere.
    """
    return bool(_GROUP.search(_read(root / "proc/self/cgroup"))) or any(
        _is_parent(root, pid) for pid in _ancestors(root)
    )


def _ancestors(root: Path) -> Iterator[int]:
    pid = os.getppid()
    for _ in range(1000):
        if pid <= 1:
            return
        yield pid
        fields = _read(root / f"proc/{pid}/stat").rpartition(")")[2].split()
        pid = int(fields[1]) if len(fields) > 1 else 0


def _is_parent(root: Path, pid: int) -> bool:
    """Return whether a process is the parent that the manager gives to each process of a session."""
    arguments = _read(root / f"proc/{pid}/cmdline").split("\0")[:5]
    return "-S" in arguments and any(_PARENT.fullmatch(one) for one in arguments)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def own_session_name() -> str:
    """Return the name of the session in which this process runs, or "" if it runs in none."""
    return os.environ.get("BACKENDAI_SESSION_NAME", "")
