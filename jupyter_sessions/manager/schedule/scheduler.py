"""The scheduler's loop: decide about pending sessions after a change, or at a time that a session waits for."""

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
"""The pause after each pass over the queue, as a multiple of the pass's own duration."""
CLOCK_SECONDS = 60.0
"""The longest sleep until a time of day: the clock may be changed, or the machine suspended, meanwhile."""


class SchedulableSessions(Protocol):
    """The sessions to schedule."""

    @property
    def capacity(self) -> Capacity:
        """The capacity for all sessions together."""
        ...

    @property
    def live(self) -> list[Record]:
        """The sessions that have not ended, oldest first."""
        ...

    def known(self, id: str) -> Record | None:
        """Return a session by its id, live or ended."""
        ...


class SessionScheduler:
    """Starts pending sessions when they may start, and publishes why the others wait."""

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
        """Schedule a pass over the queue. While the queue is long, many changes share one pass."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.call_at(max(self._not_before, loop.time()), self._run)

    def close(self) -> None:
        """Stop scheduling."""
        for timer in (self._next, self._alarm):
            if timer is not None:
                timer.cancel()

    def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._next, began = None, loop.time()
        live = self._pool.live
        ending = {(record.name, record.access_key) for record in live if record.status == "TERMINATING"}
        pending = [record for record in live if record.status == "PENDING"]
        records = {record.id: record for record in pending if not self._must_wait(record, ending)}
        holding = [record for record in self._pool.live if record.holds_slots]
        for decision in decide(self._pool.capacity, records.values(), holding, self._key_of):
            record = records[decision.id]
            if decision.start:
                self._machine.apply(record, Scheduled(decision.gpus))
            else:
                self._set_reason(record, decision.reason)
        self._not_before = loop.time() + PAUSE_SHARE * (loop.time() - began)

    def _must_wait(self, record: Record, ending: Container[tuple[str, str]]) -> bool:
        """Return whether a session must wait regardless of the capacity. A session that can never start is cancelled.

        `ending` are the names and keys of the sessions that are being terminated.
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
        self._set_reason(record, what.reason)
        if what.until is not None:
            self._set_alarm(min((what.until - now).total_seconds(), CLOCK_SECONDS))
        return True

    def _set_reason(self, record: Record, reason: str) -> None:
        if record.status_info != reason:
            self._machine.apply(record, Waits(reason))

    def _set_alarm(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            seconds = min(seconds, self._alarm.when() - loop.time())
            self._alarm.cancel()
        self._alarm = loop.call_later(max(0.0, seconds), self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm = None
        self.changed()
