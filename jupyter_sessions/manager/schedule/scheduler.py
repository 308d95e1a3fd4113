"""When pending sessions are looked at: something has changed, or a moment has come that one waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container
from datetime import datetime
from typing import Protocol

from jupyter_sessions.manager.core.dependencies import WaitReason, wait_reason
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.schedule.placement import Capacity, decide

PAUSE_SHARE = 9
"""How long the queue is let alone after each look at it, in times that the look took."""
CLOCK_SECONDS = 60.0
"""The longest sleep until a time of day: the clock may be set, or the machine suspended, meanwhile."""


class SchedulableSessions(Protocol):
    """The sessions that there are, and what can be done to those that wait."""

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

    def start(self, record: Record, gpus: list[str]) -> None:
        """Start one with these GPUs."""
        ...

    def wait_for(self, record: Record, reason: str) -> None:
        """Note why one waits."""
        ...

    def cancel(self, record: Record, reason: str) -> None:
        """End one that waits."""
        ...


class SessionScheduler:
    """Starts the pending sessions of a pool when they may start."""

    def __init__(
        self,
        pool: SchedulableSessions,
        today: Callable[[], datetime],
        key_of: Callable[[str], Key | None],
    ) -> None:
        self._pool = pool
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
                self._pool.start(record, decision.gpus)
            else:
                self._pool.wait_for(record, decision.reason)

    def _holds(self, record: Record, ending: Container[tuple[str, str]]) -> bool:
        """Whether one cannot start yet, however much room there is; if it never can, it ends.

        `ending` are name and key of those that are being ended.
        """
        now = self._today()
        what = wait_reason(record, self._pool.known, now)
        if what is None and (record.name, record.access_key) in ending:
            what = WaitReason(f"Waiting for the earlier '{record.name}' to end.")
        if what is None:
            return False
        if what.failed:
            self._pool.cancel(record, what.reason)
            return True
        self._pool.wait_for(record, what.reason)
        if what.until is not None:
            self._again_in(min((what.until - now).total_seconds(), CLOCK_SECONDS))
        return True

    def _again_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            seconds = min(seconds, self._alarm.when() - loop.time())
            self._alarm.cancel()
        self._alarm = loop.call_later(max(0.0, seconds), self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.changed()
