"""Limits groups, which hold the processes of a session, and the object that creates them."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal

from msgspec import structs

from jupyter_sessions.manager.runtime import trackers
from jupyter_sessions.manager.runtime.limits import cgroup_v1, cgroup_v2, tree
from jupyter_sessions.manager.runtime.limits.part import (
    Driver,
    LimitsError,
    LimitsGroupGone,
    Part,
    PartRecord,
    Usage,
)
from jupyter_sessions.manager.runtime.limits.pids import most_pids
from jupyter_sessions.manager.runtime.limits.records import LimitsRecord, LimitsRecords
from jupyter_sessions.manager.runtime.limits.tree import Bound, TreePart
from jupyter_sessions.manager.runtime.limits.watchdog import Watchdog
from jupyter_sessions.manager.runtime.process import Process

_KILL_S = 10.0
_SWEEP_S = 1.0
_OOM_FIRST = 1000
__all__ = ["Limits", "LimitsError", "LimitsGroup", "LimitsGroupGone", "ServiceLimitsGroup", "Usage"]

_log = logging.getLogger(__name__)


class LimitsGroup:
    """The limits of one session: CPU, and `memory` in bytes, for all its processes together."""

    oom_score_adj = 0

    def __init__(
        self,
        id: str,
        parts: Sequence[Part],
        affinity: list[int] | None,
        gone: Callable[[], None],
        memory: int = 0,
    ) -> None:
        self.id = id
        self.memory = memory
        self.attach = [path for part in parts for path in part.attach]
        self.affinity = affinity
        self._parts = parts
        self._gone = gone

    def __repr__(self) -> str:
        return f"LimitsGroup({self.id!r}, attach={self.attach}, affinity={self.affinity})"

    def adopt(self, process: Process) -> None:
        """Register a process inside: after its start, which `launch` does, and in each new manager."""
        for part in self._parts:
            part.adopt(process)

    def service(self, name: str) -> ServiceLimitsGroup:
        """Return the group of one service, which is ended before the session when memory runs out."""
        return ServiceLimitsGroup(self, name, self._parts)

    def usage(self) -> Usage:
        """Return the current usage."""
        cpu = next((ms for part in self._parts if (ms := part.cpu_ms()) is not None), 0)
        mem, peak = next((pair for part in self._parts if (pair := part.memory())), (0, 0))
        return Usage(cpu, mem, max(mem, peak))

    def pids(self) -> list[int]:
        """Return the processes inside now."""
        return next((pids for part in self._parts if (pids := part.pids()) is not None), [])

    def over_memory(self) -> bool:
        """Return whether anything inside was killed for its memory. Call it once a second, then `kill`."""
        return any(part.over_memory() for part in self._parts)

    @property
    def most_pids(self) -> int:
        """The most processes and threads at a time, 0 for no limit."""
        return max((part.most_pids for part in self._parts), default=0)

    def over_pids(self) -> bool:
        """Return whether the group was ended because it had too many processes and threads."""
        return any(part.over_pids() for part in self._parts)

    async def kill(self, within: float = _KILL_S) -> bool:
        """Kill everything inside until the group is empty. Return False if something is left after `within` seconds.

        Resource trackers get some time after the other processes.
        """
        start = time.monotonic()
        end = start + within
        while not self.kill_once(spare=time.monotonic() < start + trackers.SECONDS):
            if time.monotonic() > end:
                _log.warning("Processes of session %s do not die.", self.id)
                return False
            await asyncio.sleep(0.005)
        return True

    def kill_once(self, *, spare: bool = False) -> bool:
        """Send SIGKILL to everything inside, except resource trackers with `spare`. Return True if nothing was inside."""
        empty = [part.kill_once(spare=spare) for part in self._parts]
        return all(empty)

    def exists(self) -> bool:
        """Return False if the group was removed by another program."""
        return all(part.exists() for part in self._parts)

    def remove(self) -> bool:
        """Remove the group. Return False while processes live in it."""
        removed = [part.remove() for part in self._parts]
        if not all(removed):
            return False
        self._gone()
        return True


class ServiceLimitsGroup:
    """The processes of one service inside a session's limits group.

    They share the session's limits. When its memory runs out they are killed first, by the kernel because of
    `oom_score_adj` (proc(5)), or by the watchdog.
    """

    oom_score_adj = _OOM_FIRST

    def __init__(self, limits_group: LimitsGroup, name: str, parts: Sequence[Part]) -> None:
        self.affinity = limits_group.affinity
        self.memory = limits_group.memory
        self._name = name
        self._parts = parts

    @property
    def attach(self) -> list[str]:
        """The files into which a process writes its pid to join the group."""
        return [path for part in self._parts for path in part.service_attach(self._name)]

    def adopt(self, process: Process) -> None:
        """Register a process of the service: after its start, and in each new manager."""
        for part in self._parts:
            part.adopt_service(self._name, process)

    def over_memory(self) -> bool:
        """Return whether a process of the service was killed for the session's memory."""
        return any(part.service_over_memory(self._name) for part in self._parts)

    def remove(self) -> None:
        """Remove the group of the service after all its processes have ended."""
        for part in self._parts:
            part.remove_service(self._name)


class Limits:
    """All limits groups of a manager, created by the strongest drivers of this machine.

    `means` tells how "cpu", "mem" and "pids" are limited, in words for people; `pids` is the most processes and
    threads of each session, 0 for a number that depends on its CPUs.
    """

    def __init__(self, drivers: Sequence[Driver], records: LimitsRecords, pids: int = 0) -> None:
        self._pids = pids
        self.means = {control: how for driver in drivers for control, how in driver.means.items()}
        self._drivers = drivers
        self._records = records
        self._watchdog = Watchdog()

    def create(self, id: str, cpu: Decimal, mem: int) -> LimitsGroup:
        """Create the limits group of a new session: `cpu` in cores, `mem` in bytes. Errors: LimitsError."""
        if not re.fullmatch(r"\w[\w.-]{0,127}", id):
            raise LimitsError(f"{id!r} cannot be the name of a control group.")
        most = most_pids(cpu, self._pids)
        parts = [structs.replace(driver.plan(id, cpu), pids=most) for driver in self._drivers]
        record = LimitsRecord.new(id, parts)
        self._records.save(record)
        try:
            for driver, part in zip(self._drivers, parts, strict=True):
                driver.build(part, cpu, mem)
        except LimitsError:
            self._limits_group(record, mem).remove()
            raise
        return self._limits_group(record, mem)

    def open(self, id: str, cpu: Decimal, mem: int) -> LimitsGroup:
        """Open a limits group that an earlier manager created. Errors: LimitsGroupGone."""
        del cpu
        record = self._records.load(id)
        if record is None or not record.current():
            raise LimitsGroupGone(f"Session {id} has no limits on this machine any more.")
        limits_group = self._limits_group(record, mem)
        if not limits_group.exists():
            raise LimitsGroupGone(
                f"The limits of session {id} were removed: {', '.join(limits_group.attach)}."
            )
        return limits_group

    def sweep(self, live_ids: Collection[str]) -> list[str]:
        """End and remove all limits groups of this manager except those of live sessions. Return their ids."""
        swept = []
        found = [
            LimitsRecord.new(name, [part]) for driver in self._drivers for name, part in driver.leftovers()
        ]
        for record in (*self._records.all(), *found):
            if record.id not in live_ids and record.id not in swept:
                swept.append(record.id)
                try:
                    self._end_group(self._limits_group(record, 0))
                except LimitsGroupGone as error:
                    _log.warning("%s", error)
                    self._records.delete(record.id)
        return swept

    def _end_group(self, limits_group: LimitsGroup) -> None:
        end = time.monotonic() + _SWEEP_S
        while (
            not limits_group.kill_once(spare=time.monotonic() < end - _SWEEP_S / 2) and time.monotonic() < end
        ):
            time.sleep(0.005)
        if not limits_group.remove():
            _log.warning("The limits of session %s cannot be removed.", limits_group.id)

    def _limits_group(self, record: LimitsRecord, mem: int) -> LimitsGroup:
        parts = [self._part(part, mem, record.id) for part in record.parts]
        affinity = next((part.affinity for part in record.parts if part.affinity), None)
        return LimitsGroup(record.id, parts, affinity, lambda: self._records.delete(record.id), mem)

    def _part(self, record: PartRecord, mem: int, id: str) -> Part:
        match record.driver:
            case cgroup_v1.NAME:
                return cgroup_v1.V1Part(record)
            case cgroup_v2.NAME:
                return cgroup_v2.V2Part(record)
            case tree.NAME:
                return TreePart(
                    Bound(mem if "mem" in record.controls else 0, self._records.marker(id)),
                    Bound(record.pids if "pids" in record.controls else 0, self._records.marker(id, "pids")),
                    self._watchdog,
                )
        raise LimitsGroupGone(f"The limits of a session use the unknown driver '{record.driver}'.")
