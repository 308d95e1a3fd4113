"""The part of every limits group that knows its process trees: CPU affinity, memory watchdog, accounting.

It limits what control groups cannot, counts what they do not, and kills what left them.
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
    """A limit that the watchdog enforces, 0 for none. `marker` is a file that says it was exceeded."""

    def __init__(self, most: int, marker: Path) -> None:
        self.most = most
        self._marker = marker
        self._exceeded = False

    def exceed(self, used: int) -> None:
        """Keep that it was exceeded, for later managers, too."""
        self._exceeded = True
        try:
            self._marker.write_text(str(used))
        except OSError:
            _log.exception("A later manager will not know that a session was over its limits.")

    def exceeded(self) -> bool:
        """Also when it was an earlier manager that saw it."""
        return self._exceeded or self._marker.exists()


class TreePart(Part):
    """The processes of one session; bounds of `memory` in bytes, and of the number of processes and threads."""

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
        """Count a process and all below it, from now on."""
        self._roots.setdefault(process, 0)
        if self._memory.most or self._threads.most:
            self._watchdog.watch(self)

    def adopt_service(self, name: str, process: Process) -> None:
        """The same, for a process that is ended first when memory runs out."""
        self._over_services.discard(name)
        self._services[process] = name
        self.adopt(process)

    def service_over_memory(self, name: str) -> bool:
        """Whether the watchdog has ended it."""
        return name in self._over_services

    def remove_service(self, name: str) -> None:
        """Forget that it was over."""
        self._over_services.discard(name)
        self._services = {process: one for process, one in self._services.items() if one != name}

    def exists(self) -> bool:
        """Always: there is nothing that could be removed."""
        return True

    def cpu_ms(self) -> int | None:
        """All processes adopted, ended ones too."""
        for process, before in list(self._roots.items()):
            self._roots[process] = max(before, _cpu_ms(process))
        return sum(self._roots.values())

    def memory(self) -> tuple[int, int] | None:
        """Now, and the most that was seen."""
        used = self.measure()
        return used, self._peak

    def pids(self) -> list[int]:
        """All below those adopted."""
        return self._pids()

    def measure(self) -> int:
        """Memory in use. Shared pages are told apart only over the limit: it is slow."""
        pids = self._pids()
        used = sum(proc.memory(pid) for pid in pids)
        if self._memory.most and used > self._memory.most:
            used = sum(proc.share_of_memory(pid) for pid in pids)
        self._peak = max(self._peak, used)
        return used

    def look(self) -> float:
        """End what is over its limits; return for how many seconds it cannot exceed them again."""
        most = self._threads.most
        if most and (count := self._count_threads()) > most:
            first = not self._threads.exceeded()
            self._threads.exceed(count)
            self._kill_all(spare=first)
            return 0.0
        reach = (most - count) / _FORKS_PER_S if most else _FAR_S
        most = self._memory.most
        if most and (used := self.measure()) > most:
            self._trip(used)
            return 0.0
        return min(reach, (most - used) / _GROWTH_PER_S) if most else reach

    def _count_threads(self) -> int:
        stats = [proc.stat(pid) for pid in self._pids()]
        return sum(one.threads for one in stats if one)

    def _trip(self, used: int) -> None:
        """Kill services, the largest first, as long as that is not enough; then everything else, too."""
        while (service := self._largest_service()) is not None:
            self._over_services.add(self._services[service])
            for _ in range(_KILL_ROUNDS):
                if ending.kill(service):
                    break
                time.sleep(_KILL_PAUSE_S)  # What dies keeps its memory until it has gone.
            self._services.pop(service, None)
            if self.measure() <= self._memory.most:
                return
        first = not self._memory.exceeded()
        self._memory.exceed(used)
        self._kill_all(spare=first)

    def _kill_all(self, *, spare: bool) -> None:
        """Kill everything, until nothing new comes up; with `spare` but for resource trackers."""
        for _ in range(_KILL_ROUNDS):
            if self.kill_once(spare=spare):
                return

    def _largest_service(self) -> Process | None:
        """The service that uses most memory; None if none lives."""
        living = [process for process in self._living() if process in self._services]
        return max(living, key=lambda one: sum(map(proc.memory, ending.descendants(one))), default=None)

    def over_memory(self) -> bool:
        """Also when it was an earlier manager that saw it."""
        return self._memory.exceeded()

    def over_pids(self) -> bool:
        """Also when it was an earlier manager that saw it."""
        return self._threads.exceeded()

    def kill_once(self, *, spare: bool = False) -> bool:
        """Send SIGKILL to all processes adopted and all below them, with `spare` not to resource trackers."""
        empty = [ending.kill(process, spare=spare) for process in self._living()]
        return all(empty)

    def remove(self) -> bool:
        """Stop looking; False while something lives."""
        if self._pids():
            return False
        self._watchdog.forget(self)
        return True

    def _pids(self) -> list[int]:
        return [pid for process in self._living() for pid in ending.descendants(process)]

    def _living(self) -> list[Process]:
        """Those of which something lives. Without a shim it takes all of /proc to know: once."""
        living = [process for process in list(self._roots) if process not in self._ended]
        for process in living:
            if not process.shim.alive() and not ending.descendants(process):
                self._roots[process] = max(self._roots[process], _cpu_ms(process))
                self._ended.add(process)
        return [process for process in living if process not in self._ended]


def _cpu_ms(process: Process) -> int:
    """CPU time of a process with all its children, also of those long gone."""
    shim = proc.stat(process.shim.pid) if process.shim.alive() else None
    if shim is None:
        return ending.final_cpu_ms(process)
    stats = [proc.stat(pid) for pid in ending.descendants(process)]
    return shim.reaped_ms + sum(s.cpu_ms + s.reaped_ms for s in stats if s)


class Tree(Driver):
    """The driver for what is wanted of `CONTROLS` and nothing else gives.

    `taken` tells the CPUs that other limits groups hold, one entry for each limits group and CPU.
    """

    def __init__(self, wanted: Iterable[str], taken: Callable[[], Iterable[int]]) -> None:
        self._taken = taken
        words = {"cpu": "CPU affinity" if _HAS_AFFINITY else "none", "mem": "watchdog", "pids": "watchdog"}
        self.means = {control: words[control] for control in wanted}

    def plan(self, id: str, cpu: Decimal) -> PartRecord:
        """Choose the CPUs that the fewest limits groups hold, of those the ones to which the fewest others are bound; enough for `cpu`.

        Whole CPUs are chosen where a quota limits them, too: libraries count the CPUs they may run on.
        """
        del id
        whole = _HAS_AFFINITY and cpu >= 1 and cpu == cpu.to_integral_value()
        chosen = whole or self.means.get("cpu") == "CPU affinity"
        return PartRecord(NAME, list(self.means), affinity=self._least_used(cpu) if chosen else None)

    def _least_used(self, cpu: Decimal) -> list[int]:
        taken, allowed = Counter(self._taken()), os.sched_getaffinity(0)
        bound = _bound(allowed)
        # Managers that begin at the same time must not all begin with the first.
        chosen = sorted(allowed, key=lambda number: (taken[number], bound[number], random.random()))  # noqa: S311
        return sorted(chosen[: max(1, int(cpu.to_integral_value(ROUND_CEILING)))])

    def build(self, record: PartRecord, cpu: Decimal, mem: int) -> None:
        """Nothing to make: it is all in the looking."""


def _bound(allowed: set[int]) -> Counter[int]:
    """How many programs, whoever runs them, may use only some of the CPUs, by CPU: each counts once, with all it started."""
    found = set()
    for pid in psutil.pids():
        with suppress(OSError):
            cpus = frozenset(os.sched_getaffinity(pid) & allowed)
            if cpus < allowed and os.getpgid(pid):  # Threads of the kernel have no group.
                found.add((os.getsid(pid), cpus))
    return Counter(number for _, cpus in found for number in cpus)
