"""The part of every limits group that follows its process trees: CPU affinity, watchdog, accounting.

It limits and counts where control groups cannot, and kills processes that left them.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import ROUND_CEILING, Decimal
from pathlib import Path

import psutil

from jupyter_sessions.manager.runtime import ending, proc
from jupyter_sessions.manager.runtime.limits.part import Driver, Part, PartRecord
from jupyter_sessions.manager.runtime.limits.watchdog import Watchdog
from jupyter_sessions.manager.runtime.process import Process

NAME = "process tree"
_HAS_AFFINITY = hasattr(os, "sched_getaffinity")
_KILL_ROUNDS = 50
_KILL_PAUSE_S = 0.02
_GROWTH_PER_S = 4 << 30
_FORKS_PER_S = 10_000
_FAR_S = 60.0
_log = logging.getLogger(__name__)


class Bound:
    """A limit that the watchdog enforces, 0 for none. The file `marker` exists once it was exceeded."""

    def __init__(self, most: int, marker: Path) -> None:
        self.most = most
        self._marker = marker
        self._exceeded = False

    def exceed(self, used: int) -> None:
        """Remember, also for later managers, that the limit was exceeded."""
        self._exceeded = True
        try:
            self._marker.write_text(str(used))
        except OSError:
            _log.exception("The marker of a session that exceeded its limits cannot be written.")

    def exceeded(self) -> bool:
        """Return whether the limit was exceeded, also under an earlier manager."""
        return self._exceeded or self._marker.exists()


class TreePart(Part):
    """The processes of one session, with limits of `memory` in bytes and of the number of processes and threads."""

    def __init__(self, memory: Bound, pids: Bound, watchdog: Watchdog) -> None:
        self._memory = memory
        self._threads = pids
        self.most_pids = pids.most
        self._watchdog = watchdog
        self._roots: dict[Process, int] = {}
        self._ended: set[Process] = set()
        self._services: dict[Process, str] = {}
        self._over_services: set[str] = set()
        self._peak = 0

    def adopt(self, process: Process) -> None:
        """Count a process and its descendants from now on."""
        self._roots.setdefault(process, 0)
        if self._memory.most or self._threads.most:
            self._watchdog.watch(self)

    def adopt_service(self, name: str, process: Process) -> None:
        """Count a process of a service, which is ended first when memory runs out."""
        self._over_services.discard(name)
        self._services[process] = name
        self.adopt(process)

    def service_over_memory(self, name: str) -> bool:
        """Return whether the watchdog has ended the service."""
        return name in self._over_services

    def remove_service(self, name: str) -> None:
        """Forget the service."""
        self._over_services.discard(name)
        self._services = {process: one for process, one in self._services.items() if one != name}

    def exists(self) -> bool:
        """Return True, as there is nothing that could be removed."""
        return True

    def cpu_ms(self) -> int | None:
        """Return the CPU time of all adopted processes, including ended ones."""
        for process, before in list(self._roots.items()):
            self._roots[process] = max(before, _cpu_ms(process))
        return sum(self._roots.values())

    def memory(self) -> tuple[int, int] | None:
        """Return the current memory and the highest measured value."""
        used = self.measure()
        return used, self._peak

    def pids(self) -> list[int]:
        """Return the adopted processes and their descendants."""
        return self._pids()

    def measure(self) -> int:
        """Return the memory in use. Shared pages are divided only above the limit, because that is slow."""
        pids = self._pids()
        used = sum(proc.memory(pid) for pid in pids)
        if self._memory.most and used > self._memory.most:
            used = sum(proc.share_of_memory(pid) for pid in pids)
        self._peak = max(self._peak, used)
        return used

    def check(self) -> float:
        """End the processes if a limit is exceeded. Return for how many seconds it cannot be exceeded again."""
        most = self._threads.most
        stats = [proc.stat(pid) for pid in self._pids()] if most else []
        count = sum(one.threads for one in stats if one)
        if count > most:
            first = not self._threads.exceeded()
            self._threads.exceed(count)
            self._kill_all(spare=first)
            return 0.0
        reach = (most - count) / _FORKS_PER_S if most else _FAR_S
        most = self._memory.most
        if most and (used := self.measure()) > most:
            self._enforce_memory(used)
            return 0.0
        return min(reach, (most - used) / _GROWTH_PER_S) if most else reach

    def _enforce_memory(self, used: int) -> None:
        """Kill services, the largest first, until the memory is below the limit; if that is not enough, kill everything."""
        while (service := self._largest_service()) is not None:
            self._over_services.add(self._services[service])
            for _ in range(_KILL_ROUNDS):
                if ending.kill(service):
                    break
                time.sleep(_KILL_PAUSE_S)  # A dying process keeps its memory until it is gone.
            self._services.pop(service, None)
            if self.measure() <= self._memory.most:
                return
        first = not self._memory.exceeded()
        self._memory.exceed(used)
        self._kill_all(spare=first)

    def _kill_all(self, *, spare: bool) -> None:
        """Kill everything until no new process appears, except resource trackers with `spare`."""
        for _ in range(_KILL_ROUNDS):
            if self.kill_once(spare=spare):
                return

    def _largest_service(self) -> Process | None:
        """Return the service that uses the most memory, or None if no service runs."""
        living = [process for process in self._living() if process in self._services]
        return max(living, key=lambda one: sum(map(proc.memory, ending.descendants(one))), default=None)

    def over_memory(self) -> bool:
        """Return whether the memory limit was exceeded, also under an earlier manager."""
        return self._memory.exceeded()

    def over_pids(self) -> bool:
        """Return whether there were too many processes and threads, also under an earlier manager."""
        return self._threads.exceeded()

    def kill_once(self, *, spare: bool = False) -> bool:
        """Send SIGKILL to all adopted processes and their descendants, except resource trackers with `spare`."""
        empty = [ending.kill(process, spare=spare) for process in self._living()]
        return all(empty)

    def remove(self) -> bool:
        """Stop watching. Return False while processes live."""
        if self._pids():
            return False
        self._watchdog.forget(self)
        return True

    def _pids(self) -> list[int]:
        return [pid for process in self._living() for pid in ending.descendants(process)]

    def _living(self) -> list[Process]:
        """Return the adopted processes that live. For an ended shim this reads all of /proc, once."""
        living = [process for process in list(self._roots) if process not in self._ended]
        for process in living:
            if not process.shim.alive() and not ending.descendants(process):
                self._roots[process] = max(self._roots[process], _cpu_ms(process))
                self._ended.add(process)
        return [process for process in living if process not in self._ended]


def _cpu_ms(process: Process) -> int:
    """Return the CPU time of a process with all its children, including ended ones."""
    shim = proc.stat(process.shim.pid) if process.shim.alive() else None
    if shim is None:
        return ending.final_cpu_ms(process)
    stats = [proc.stat(pid) for pid in ending.descendants(process)]
    return shim.reaped_ms + sum(s.cpu_ms + s.reaped_ms for s in stats if s)


class Tree(Driver):
    """The driver for the wanted `CONTROLS` that no other driver provides.

    `taken` returns the CPUs of other limits groups, with one entry for each group and CPU.
    """

    def __init__(self, wanted: Iterable[str], taken: Callable[[], Iterable[int]]) -> None:
        self._taken = taken
        words = {"cpu": "CPU affinity" if _HAS_AFFINITY else "none", "mem": "watchdog", "pids": "watchdog"}
        self.means = {control: words[control] for control in wanted}

    def plan(self, id: str, cpu: Decimal) -> PartRecord:
        """Choose enough CPUs for `cpu`: those with the fewest limits groups, then those with the fewest bound programs.

        Whole CPUs are chosen even under a quota, because libraries count the CPUs that they may run on.
        """
        del id
        whole = _HAS_AFFINITY and cpu >= 1 and cpu == cpu.to_integral_value()
        chosen = whole or self.means.get("cpu") == "CPU affinity"
        if not chosen:
            return PartRecord(NAME, list(self.means))
        taken, allowed = Counter(self._taken()), os.sched_getaffinity(0)
        bound = _count_bound(allowed)
        # Managers that start at the same time must not all choose the first CPUs.
        cpus = sorted(allowed, key=lambda number: (taken[number], bound[number], random.random()))  # noqa: S311
        affinity = sorted(cpus[: max(1, int(cpu.to_integral_value(ROUND_CEILING)))])
        return PartRecord(NAME, list(self.means), affinity=affinity)

    def build(self, record: PartRecord, cpu: Decimal, mem: int) -> None:
        """Create nothing: the watchdog does all the work."""


def _count_bound(allowed: set[int]) -> Counter[int]:
    """Count by CPU the programs of all users that are bound to some CPUs. A POSIX session counts as one program."""
    found = set()
    for pid in psutil.pids():
        with suppress(OSError):
            cpus = frozenset(os.sched_getaffinity(pid) & allowed)
            if cpus < allowed and os.getpgid(pid):  # Kernel threads have no group.
                found.add((os.getsid(pid), cpus))
    return Counter(number for _, cpus in found for number in cpus)
