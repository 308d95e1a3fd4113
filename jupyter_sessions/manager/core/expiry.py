"""How long sessions may go on: an idle timeout, a time limit, and warnings before both.

All is counted on a clock that stands still while the machine is suspended. Time during which this
manager itself was stopped (a frozen container, SIGSTOP) does not count either: nobody could have
used a session then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from jupyter_sessions.durations import human_time
from jupyter_sessions.manager.core.changes import LimitCounted, Renewed, Warned
from jupyter_sessions.manager.core.machine import SessionMachine
from jupyter_sessions.manager.core.record import Record

log = logging.getLogger("jupyter_sessions")

WARN_SECONDS = (600.0, 120.0)
LEAST_USE = 0.05
"""Share of a core or of a GPU over which a session is in use."""
_ENDS = {"idle-timeout": "idle", "time-limit": "time_limit"}
_LOOKS = 20
_LOOK_SECONDS = (1.0, 60.0)
_LATE_SECONDS = 5.0
_DRIFT_SECONDS = 2.0


class Activity(msgspec.Struct, frozen=True):
    """What tells that a session is used: a busy kernel, how often one was, CPU time in ms, share of a GPU."""

    busy: bool = False
    times_busy: int = 0
    cpu_ms: int = 0
    gpu: float = 0.0


class Ending(msgspec.Struct, frozen=True):
    """When a session is going to be ended and why: "idle" or "time_limit"."""

    at: datetime
    why: str


class Clock(msgspec.Struct, frozen=True):
    """Where time comes from: seconds that stand still with the machine, and the time of day.

    On Linux and macOS `time.monotonic` counts from the machine's start and not while it is suspended,
    so what one manager noted another can go on from.
    """

    seconds: Callable[[], float] = time.monotonic
    today: Callable[[], datetime] = lambda: datetime.now(UTC)


class _Watch(msgspec.Struct):
    """One session. `idle_from` is when it was last seen in use, `seen` what was seen at `looked`."""

    record: Record
    idle_from: float
    looked: float
    seen: Activity
    warned: tuple[str, float] | None = None

    @property
    def pause(self) -> float:
        """Seconds between two looks."""
        least, most = _LOOK_SECONDS
        return min(max(self.record.idle_timeout / _LOOKS, least), most)


class ExpiryWatcher:
    """Watches the sessions that have an idle timeout or a time limit; the others cost nothing.

    `activity` looks at a session, `expire` ends one with a reason (`busy` ones are interrupted first).
    """

    def __init__(
        self,
        machine: SessionMachine,
        *,
        activity: Callable[[Record], Activity],
        expire: Callable[[Record, str], None],
        clock: Clock | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self._activity = activity
        self._expire = expire
        self._machine = machine
        self._watches: dict[str, _Watch] = {}
        self._due: float | None = None
        self._anchor = self._moment()
        self._nudge = asyncio.Event()

    # What happens to sessions.

    def follow(self, record: Record) -> None:
        """Take note of a session's status: clocks run while code can run in it.

        When it runs again after a restart its idle clock is at zero; the time limit goes on.
        """
        if not record.usable or not (record.idle_timeout or record.time_limit):
            self._watches.pop(record.id, None)
        elif record.id not in self._watches:
            now = self.clock.seconds()
            if record.limit_from is None or record.limit_from > now:
                self._machine.apply(record, LimitCounted(now))
            self._watches[record.id] = _Watch(record, now, now, self._activity(record))
            self._nudge.set()

    def touch(self, record: Record) -> None:
        """Somebody works in a session: its idle clock is at zero."""
        if watch := self._watches.get(record.id):
            watch.idle_from = self.clock.seconds()

    def renew(self, record: Record) -> None:
        """Begin to count anew, towards both ends."""
        watch, now = self._watches.get(record.id), self.clock.seconds()
        self._machine.apply(record, Renewed(now if watch else None))
        if watch:
            watch.idle_from = now
            self._warn(watch, now)

    # What is left.

    def ending(self, record: Record) -> Ending | None:
        """When it is going to end. An idle timeout counts only once it was warned of: before, use puts it off."""
        watch = self._watches.get(record.id)
        if watch is None:
            return None
        ends = {}
        if record.time_limit and record.limit_from is not None:
            ends["time_limit"] = record.limit_from + record.time_limit
        if watch.warned and watch.warned[0] == "idle":
            ends["idle"] = watch.idle_from + record.idle_timeout
        if not ends:
            return None
        why = min(ends, key=lambda name: ends[name])
        return Ending(self._anchor + timedelta(seconds=round(ends[why])), why)

    def checks(self, record: Record) -> dict[str, Any]:
        """`idle_checks` of the monitoring API: seconds that are left, by checker.

        Source: managers 23.03 on. `network_timeout` is the idle timeout, `session_lifetime` the time limit.
        """
        watch = self._watches.get(record.id)
        if watch is None:
            return {}
        names = {
            "idle": ("network_timeout", "grace_period"),
            "time_limit": ("session_lifetime", "expire_after"),
        }
        return {
            names[why][0]: {
                "remaining": max(0.0, round(left, 3)),
                "remaining_time_type": names[why][1],
                "extra": None,
            }
            for why, left in self._left(watch, self.clock.seconds()).items()
        }

    def _left(self, watch: _Watch, now: float) -> dict[str, float]:
        """Seconds left until each end that it may come to."""
        record, left = watch.record, {}
        if record.idle_timeout:
            left["idle"] = watch.idle_from + record.idle_timeout - now
        if record.time_limit and record.limit_from is not None:
            left["time_limit"] = record.limit_from + record.time_limit - now
        return left

    # Looking.

    async def run(self) -> None:
        """Look after all, for ever."""
        while True:
            try:
                pause = self.look()
            except Exception:  # A session that cannot be looked at must not keep the others for ever.
                log.exception("The time of sessions could not be looked at")
                pause = _LOOK_SECONDS[1]
            self._nudge.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nudge.wait(), pause)

    def look(self) -> float | None:
        """Look at those that are due, and say for how many seconds nothing will be; None if at none."""
        now = self.clock.seconds()
        self._forgive(now)
        pauses = [self._look_at(watch, now) for watch in list(self._watches.values())]
        pause = min((pause for pause in pauses if pause is not None), default=None)
        self._due = None if pause is None else now + pause
        return pause

    def _forgive(self, now: float) -> None:
        """Leave out the time for which we were stopped; say when the ends are if they have moved."""
        missed = 0.0 if self._due is None else now - self._due - _LATE_SECONDS
        if missed > 0:
            for watch in self._watches.values():
                watch.idle_from += missed
                if watch.record.limit_from is not None:
                    self._machine.apply(watch.record, LimitCounted(watch.record.limit_from + missed))
        moment = self._moment()
        if missed > 0 or abs(moment - self._anchor) > timedelta(seconds=_DRIFT_SECONDS):
            self._anchor = moment
            for watch in list(self._watches.values()):
                if self.ending(watch.record):
                    self._machine.apply(watch.record, Warned())

    def _moment(self) -> datetime:
        """The time of day at which the seconds were 0: later with each suspension."""
        return self.clock.today() - timedelta(seconds=self.clock.seconds())

    def _look_at(self, watch: _Watch, now: float) -> float | None:
        """End it, warn, or say when to look again; None if never."""
        record = watch.record
        self._see(watch, now)
        over = [why for why, left in self._left(watch, now).items() if left <= 0]
        if "time_limit" in over or ("idle" in over and now == watch.looked):
            del self._watches[record.id]
            self._expire(record, _words(record, "time_limit" if "time_limit" in over else "idle"))
            return None
        self._warn(watch, now)
        return self._pause(watch, now)

    def _see(self, watch: _Watch, now: float) -> None:
        """See whether it was in use since the last look, at most every half a pause: shorter says little."""
        span = now - watch.looked
        if not watch.record.idle_timeout or span < watch.pause / 2:
            return
        activity, before = self._activity(watch.record), watch.seen
        used = (activity.cpu_ms - before.cpu_ms) / 1000 / span
        if activity.busy or activity.times_busy != before.times_busy or max(used, activity.gpu) > LEAST_USE:
            watch.idle_from = now
        watch.looked, watch.seen = now, activity

    def _pause(self, watch: _Watch, now: float) -> float:
        """Seconds until it is to be looked at again: a limit in time, what must be measured not too often."""
        moments = {
            why: [left - mark for mark in (*WARN_SECONDS, 0.0) if left > mark]
            for why, left in self._left(watch, now).items()
        }
        pause = min([_LOOK_SECONDS[1], *moments.get("idle", [])])
        if watch.record.idle_timeout:
            pause = max(min(pause, watch.looked + watch.pause - now), watch.pause / 2)
        return min([pause, *moments.get("time_limit", [])])

    def _warn(self, watch: _Watch, now: float) -> None:
        """Tell if an end has come near since the last time, or is not near any more."""
        near = self._near(watch, now)
        if near != watch.warned:
            watch.warned = near
            self._machine.apply(watch.record, Warned())

    def _near(self, watch: _Watch, now: float) -> tuple[str, float] | None:
        """The end that is near, and by which mark."""
        limits = {"idle": watch.record.idle_timeout, "time_limit": watch.record.time_limit}
        left = self._left(watch, now)
        near = [(mark, why) for why in left for mark in WARN_SECONDS if left[why] <= mark < limits[why]]
        return (min(near)[1], min(near)[0]) if near else None


def ended_by(record: Record) -> str | None:
    """Which end a session came to: "idle" or "time_limit", None if another."""
    return _ENDS.get(record.status_info.partition(":")[0])


def _words(record: Record, why: str) -> str:
    """Why it is ended; the first word is that of managers 23.09 to 26.8."""
    if why == "idle":
        return f"idle-timeout: it was not used for {human_time(record.idle_timeout)}"
    return f"time-limit: its {human_time(record.time_limit)} are over"
