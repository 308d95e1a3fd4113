"""What fences sessions in, as the manager holds it: limits that make limits groups."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Sequence
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
    """The fence around one session: CPU and `memory` in bytes for all its processes together."""

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
        return f"Cage({self.id!r}, attach={self.attach}, affinity={self.affinity})"

    def adopt(self, process: Process) -> None:
        """Learn of a process inside: after its start (`launch` does), and in each new manager."""
        for part in self._parts:
            part.adopt(process)

    def service(self, name: str) -> ServiceLimitsGroup:
        """The part of the limits group for one service, which ends before the session where memory runs out."""
        return ServiceLimitsGroup(self, name, self._parts)

    def usage(self) -> Usage:
        """What is used now, from the part that knows best."""
        cpu = next((ms for part in self._parts if (ms := part.cpu_ms()) is not None), 0)
        mem, peak = next((pair for part in self._parts if (pair := part.memory())), (0, 0))
        return Usage(cpu, mem, max(mem, peak))

    def pids(self) -> list[int]:
        """The processes inside now."""
        return next((pids for part in self._parts if (pids := part.pids()) is not None), [])

    def over_memory(self) -> bool:
        """True once anything inside was killed for its memory: look once a second, then `kill`."""
        return any(part.over_memory() for part in self._parts)

    @property
    def most_pids(self) -> int:
        """How many processes and threads it may have at once; 0 if that is not limited."""
        return max((part.most_pids for part in self._parts), default=0)

    def over_pids(self) -> bool:
        """True once it was ended because it had too many processes and threads."""
        return any(part.over_pids() for part in self._parts)

    async def kill(self, within: float = _KILL_S) -> bool:
        """SIGKILL everything inside until it is empty; False when something resists `within` s.

        Resource trackers get some time after the others.
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
        """Send SIGKILL to all inside, with `spare` not to resource trackers; True when there was nothing."""
        empty = [part.kill_once(spare=spare) for part in self._parts]
        return all(empty)

    def exists(self) -> bool:
        """False when it was removed behind our back."""
        return all(part.exists() for part in self._parts)

    def remove(self) -> bool:
        """Take it away, for good. False while something lives in it: kill, and try again."""
        removed = [part.remove() for part in self._parts]
        if not all(removed):
            return False
        self._gone()
        return True


class ServiceLimitsGroup:
    """The processes of one service inside a session's limits group.

    They share the session's limits. When its memory runs out they are killed first: by the kernel, which
    is told so by `oom_score_adj` (proc(5)), or by the watchdog.
    """

    oom_score_adj = _OOM_FIRST

    def __init__(self, limits_group: LimitsGroup, name: str, parts: Sequence[Part]) -> None:
        self.affinity = limits_group.affinity
        self.memory = limits_group.memory
        self._name = name
        self._parts = parts

    @property
    def attach(self) -> list[str]:
        """Files into which a process writes its pid to be inside."""
        return [path for part in self._parts for path in part.service_attach(self._name)]

    def adopt(self, process: Process) -> None:
        """Learn of a process of the service: after its start, and in each new manager."""
        for part in self._parts:
            part.adopt_service(self._name, process)

    def over_memory(self) -> bool:
        """True once anything of the service was killed for the session's memory."""
        return any(part.service_over_memory(self._name) for part in self._parts)

    def remove(self) -> None:
        """Forget the service, of which nothing lives any more."""
        for part in self._parts:
            part.remove_service(self._name)


class Limits:
    """All limits groups of a manager, made by the strongest drivers this machine has.

    `means` says by what "cpu", "mem" and "pids" are limited, in words for people; `pids` is the most processes and
    threads that each session may have, 0 for a number that follows its CPUs.
    """

    def __init__(self, drivers: Sequence[Driver], records: LimitsRecords, pids: int = 0) -> None:
        self._pids = pids
        self.means = {control: how for driver in drivers for control, how in driver.means.items()}
        self._drivers = drivers
        self._records = records
        self._watchdog = Watchdog()

    def create(self, id: str, cpu: Decimal, mem: int) -> LimitsGroup:
        """A limits group for a new session: `cpu` in cores, `mem` in bytes. Errors: LimitsError."""
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
        """The limits group an earlier manager made, by the means of then. Errors: CageGone."""
        del cpu
        record = self._records.load(id)
        if record is None or not record.current():
            raise LimitsGroupGone(f"There are no limits of a session {id} on this machine.")
        limits_group = self._limits_group(record, mem)
        if not limits_group.exists():
            raise LimitsGroupGone(
                f"The limits of session {id} were removed: {', '.join(limits_group.attach)}."
            )
        return limits_group

    def sweep(self, live_ids: Collection[str]) -> list[str]:
        """End and remove all limits groups of this manager but those of these sessions. Gives their ids."""
        swept = []
        for record in self._remnants():
            if record.id not in live_ids and record.id not in swept:
                swept.append(record.id)
                try:
                    self._end(self._limits_group(record, 0))
                except LimitsGroupGone as error:
                    _log.warning("%s", error)
                    self._records.delete(record.id)
        return swept

    def _remnants(self) -> Iterator[LimitsRecord]:
        yield from self._records.all()
        for driver in self._drivers:
            for name, part in driver.leftovers():
                yield LimitsRecord.new(name, [part])

    def _end(self, limits_group: LimitsGroup) -> None:
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
        raise LimitsGroupGone(f"The limits of a session are by {record.driver}, which is not known here.")
