"""When pending sessions are looked at: something has changed, or a moment has come that one waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from datetime import datetime
from typing import Protocol

from jupyter_sessions.manager.core.changes import DependenciesMet, Waits
from jupyter_sessions.manager.core.dependencies import WaitReason, newly_met, wait_reason
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.core.machine import SessionMachine
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.transitions import Cancelled, Scheduled
from jupyter_sessions.manager.schedule.placement import Capacity, decide

PAUSE_SHARE = 9
"""How long the queue is let alone after each look at it, in times that the look took."""
CLOCK_SECONDS = 60.0
"""The longest sleep until a time of day: the clock may be set, or the machine suspended, meanwhile."""


class SchedulableSessions(Protocol):
    """The sessions that there are."""

    @property
    def capacity(self) -> Capacity:
        """What there is for them together."""
        ...

    @property
    def live(self) -> list[Record]:
        """Those that have not ended, oldest first."""
        ...

    def known(self, id: str) -> Record | None:
        """One by its id, live or ended."""
        ...


class SessionScheduler:
    """Says when the pending sessions of a pool may start, and why the others wait."""

    def __init__(
        self,
        pool: SchedulableSessions,
        machine: SessionMachine,
        today: Callable[[], datetime],
        key_of: Callable[[str], Key | None],
    ) -> None:
        self._pool = pool
        self._machine = machine
        self._today = today
        self._key_of = key_of
        self._next: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    def changed(self) -> None:
        """Look at the queue in the next moment; while it is long, many changes are one look."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.call_at(max(self._not_before, loop.time()), self._look)

    def close(self) -> None:
        """Start nothing any more."""
        for timer in (self._next, self._alarm):
            if timer is not None:
                timer.cancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._next, began = None, loop.time()
        live = self._pool.live
        ending = {(record.name, record.access_key) for record in live if record.status == "TERMINATING"}
        pending = [record for record in live if record.status == "PENDING"]
        self._decide([record for record in pending if not self._holds(record, ending)])
        self._not_before = loop.time() + PAUSE_SHARE * (loop.time() - began)

    def _decide(self, pending: list[Record]) -> None:
        records = {record.id: record for record in pending}
        holding = [record for record in self._pool.live if record.holds_slots]
        for decision in decide(self._pool.capacity, pending, holding, self._key_of):
            record = records[decision.id]
            if decision.start:
                self._machine.apply(record, Scheduled(decision.gpus))
            else:
                self._wait_for(record, decision.reason)

    def _holds(self, record: Record, ending: Container[tuple[str, str]]) -> bool:
        """Whether one cannot start yet, however much room there is; if it never can, it ends.

        `ending` are name and key of those that are being ended.
        """
        now = self._today()
        if met := newly_met(record, self._pool.known):
            self._machine.apply(record, DependenciesMet(met))
        what = wait_reason(record, self._pool.known, now)
        if what is None and (record.name, record.access_key) in ending:
            what = WaitReason(f"Waiting for the earlier '{record.name}' to end.")
        if what is None:
            return False
        if what.failed:
            self._machine.apply(record, Cancelled(what.reason))
            return True
        self._wait_for(record, what.reason)
        if what.until is not None:
            self._again_in(min((what.until - now).total_seconds(), CLOCK_SECONDS))
        return True

    def _wait_for(self, record: Record, reason: str) -> None:
        if record.status_info != reason:
            self._machine.apply(record, Waits(reason))

    def _again_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            seconds = min(seconds, self._alarm.when() - loop.time())
            self._alarm.cancel()
        self._alarm = loop.call_later(max(0.0, seconds), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.changed()
