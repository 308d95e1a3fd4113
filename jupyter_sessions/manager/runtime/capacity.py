"""The resources of this machine for sessions: the least of all limits on this process."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_DOWN, Decimal
from pathlib import Path

import msgspec
import psutil

from jupyter_sessions.manager.runtime.limits import cgroup
from jupyter_sessions.manager.runtime.limits.cgroup import UNIFIED, ControlGroup
from jupyter_sessions.wire.process_context import cpu_limit, mem_limit


class MachineResources(msgspec.Struct, frozen=True):
    """The resources for all sessions together: `cpu` in cores, `mem` in bytes."""

    cpu: Decimal
    mem: int


def detect(
    environ: Mapping[str, str],
    *,
    root: Path = Path("/"),
) -> MachineResources:
    """Return the least of all limits on this process.

    The limits are those of the machine, the control groups with their ancestors, the allowed CPUs, and the
    environment of JupyterHub: CPU_LIMIT in cores, MEM_LIMIT in bytes (K, M, G, T too).
    """
    places = cgroup.own(root)
    cpus = [_cpus(root), *_cpu_quotas(places), cpu_limit(environ)]
    match = re.search(r"^MemTotal:\s*(\d+) kB", cgroup.read(root / "proc/meminfo"), re.MULTILINE)
    total = int(match[1]) * 1024 if match else int(psutil.virtual_memory().total)
    mems = [total, *_memory_limits(places), mem_limit(environ)]
    cpu = min(cpu for cpu in cpus if cpu is not None)
    rounded = cpu.quantize(Decimal("0.01"), ROUND_DOWN).normalize() + 0
    return MachineResources(rounded, min(mem for mem in mems if mem is not None))


def free_memory(root: Path = Path("/")) -> int:
    """Return the bytes that further processes could use now.

    That is the least of what the machine and the control groups with their ancestors have left.
    """
    places = cgroup.own(root)
    groups = (
        *(
            (folder, "memory.limit_in_bytes", "memory.usage_in_bytes")
            for folder in _ancestors(places, "memory")
        ),
        *((folder, "memory.max", "memory.current") for folder in _ancestors(places, UNIFIED)),
    )
    free = [int(psutil.virtual_memory().available)]
    for folder, most, now in groups:
        limit, used = cgroup.read_int(folder / most), cgroup.read_int(folder / now)
        if limit and used is not None:
            cache = cgroup.read_key(folder / "memory.stat", "inactive_file") or 0
            free.append(limit - used + cache)
    return min(free)


def _cpus(root: Path) -> Decimal:
    """Return the number of CPUs that this process may run on; the kernel's list leaves out offline CPUs."""
    match = re.search(r"^Cpus_allowed_list:\s*(\S+)", cgroup.read(root / "proc/self/status"), re.MULTILINE)
    if match is None:
        return Decimal(os.cpu_count() or 1)
    ranges = [part.split("-") for part in match[1].split(",")]
    return Decimal(sum(int(ends[-1]) - int(ends[0]) + 1 for ends in ranges))


def _ancestors(places: Mapping[str, ControlGroup], controller: str) -> Iterable[Path]:
    return places[controller].ancestors() if controller in places else ()


def _cpu_quotas(places: Mapping[str, ControlGroup]) -> Iterator[Decimal]:
    for folder in _ancestors(places, "cpu"):
        quota = cgroup.read_int(folder / "cpu.cfs_quota_us")
        period = cgroup.read_int(folder / "cpu.cfs_period_us")
        if quota and period and quota > 0:
            yield Decimal(quota) / period
    for folder in _ancestors(places, UNIFIED):
        words = cgroup.read(folder / "cpu.max").split()
        if len(words) == 2 and words[0] != "max":
            yield Decimal(words[0]) / Decimal(words[1])


def _memory_limits(places: Mapping[str, ControlGroup]) -> Iterator[int]:
    """Yield the memory limits; v1 also reports limits of ancestors that a container cannot see."""
    for folder in _ancestors(places, "memory"):
        limit = cgroup.read_int(folder / "memory.limit_in_bytes")
        hidden = cgroup.read_key(folder / "memory.stat", "hierarchical_memory_limit")
        yield from (number for number in (limit, hidden) if number)
    for folder in _ancestors(places, UNIFIED):
        limit = cgroup.read_int(folder / "memory.max")
        if limit:
            yield limit
