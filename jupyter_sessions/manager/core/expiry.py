"""Idle timeouts and time limits of sessions, with warnings before both.

Times count on a clock that stops while the machine is suspended. The time during which the manager itself was
stopped (a frozen container, SIGSTOP) does not count either: nobody could use a session then.
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
IDLE_SHARE = 0.05
"""Share of a core or of a GPU above which a session counts as used."""
_ENDS = {"idle-timeout": "idle", "time-limit": "time_limit"}
_CHECKS = 20
_CHECK_SECONDS = (1.0, 60.0)
_LATE_SECONDS = 5.0
_DRIFT_SECONDS = 2.0


class Activity(msgspec.Struct, frozen=True):
    """Signs that a session is used: a busy kernel, how often it was busy, CPU time in ms, share of a GPU."""

    busy: bool = False
    times_busy: int = 0
    cpu_ms: int = 0
    gpu: float = 0.0


class Ending(msgspec.Struct, frozen=True):
    """When a session is going to be ended, and why: "idle" or "time_limit"."""

    at: datetime
    why: str


class Clock(msgspec.Struct, frozen=True):
    """The source of time: seconds that stop while the machine is suspended, and the time of day.

    On Linux and macOS `time.monotonic` counts from the machine's start and stops while it is suspended,
    so a new manager can use the numbers that an earlier one stored.
    """

    seconds: Callable[[], float] = time.monotonic
    today: Callable[[], datetime] = lambda: datetime.now(UTC)


class _Watch(msgspec.Struct):
    """A watched session. `used_at` is when it was last in use; `measured` was measured at `measured_at`."""

    record: Record
    used_at: float
    measured_at: float
    measured: Activity
    warned: tuple[str, float] | None = None

    @property
    def pause(self) -> float:
        """Seconds between two measurements."""
        least, most = _CHECK_SECONDS
        return min(max(self.record.idle_timeout / _CHECKS, least), most)


class ExpiryWatcher:
    """Watches the sessions that have an idle timeout or a time limit.

    `activity` measures a session; `expire` ends a session with a reason (after an interrupt if it is busy).
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
        self._anchor = self._clock_zero()
        self._nudge = asyncio.Event()

    # Changes of sessions.

    def follow(self, record: Record) -> None:
        """Start or stop watching a session, by its status: its time counts while code can run in it.

        A restart resets the idle timeout and not the time limit.
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
        """Reset the idle timeout of a session that is in use."""
        if watch := self._watches.get(record.id):
            watch.used_at = self.clock.seconds()

    def renew(self, record: Record) -> None:
        """Reset the idle timeout and the time limit of a session."""
        watch, now = self._watches.get(record.id), self.clock.seconds()
        self._machine.apply(record, Renewed(now if watch else None))
        if watch:
            watch.used_at = now
            self._warn(watch, now)

    # Time left.

    def ending(self, record: Record) -> Ending | None:
        """Return when a session is going to end. An idle timeout counts only after its warning, as any use resets it."""
        watch = self._watches.get(record.id)
        if watch is None:
            return None
        ends = {}
        if record.time_limit and record.limit_from is not None:
            ends["time_limit"] = record.limit_from + record.time_limit
        if watch.warned and watch.warned[0] == "idle":
            ends["idle"] = watch.used_at + record.idle_timeout
        if not ends:
            return None
        why = min(ends, key=lambda name: ends[name])
        return Ending(self._anchor + timedelta(seconds=round(ends[why])), why)

    def checks(self, record: Record) -> dict[str, Any]:
        """Return the `idle_checks` of the monitoring API: seconds left by checker.

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
            for why, left in self._seconds_left(watch, self.clock.seconds()).items()
        }

    def _seconds_left(self, watch: _Watch, now: float) -> dict[str, float]:
        """Return the seconds left until each possible end."""
        record, left = watch.record, {}
        if record.idle_timeout:
            left["idle"] = watch.used_at + record.idle_timeout - now
        if record.time_limit and record.limit_from is not None:
            left["time_limit"] = record.limit_from + record.time_limit - now
        return left

    # The loop.

    async def run(self) -> None:
        """Check all sessions, for ever."""
        while True:
            try:
                pause = self.check()
            except Exception:  # One session must not keep the others from expiring.
                log.exception("the timeouts of sessions could not be checked")
                pause = _CHECK_SECONDS[1]
            self._nudge.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nudge.wait(), pause)

    def check(self) -> float | None:
        """Check all watched sessions. Return the seconds until the next check, or None if none is watched."""
        now = self.clock.seconds()
        self._subtract_stops(now)
        pauses = [self._check_session(watch, now) for watch in list(self._watches.values())]
        pause = min((pause for pause in pauses if pause is not None), default=None)
        self._due = None if pause is None else now + pause
        return pause

    def _subtract_stops(self, now: float) -> None:
        """Subtract the time for which this process was stopped, and publish ends that have moved."""
        missed = 0.0 if self._due is None else now - self._due - _LATE_SECONDS
        if missed > 0:
            for watch in self._watches.values():
                watch.used_at += missed
                if watch.record.limit_from is not None:
                    self._machine.apply(watch.record, LimitCounted(watch.record.limit_from + missed))
        moment = self._clock_zero()
        if missed > 0 or abs(moment - self._anchor) > timedelta(seconds=_DRIFT_SECONDS):
            self._anchor = moment
            for watch in list(self._watches.values()):
                if self.ending(watch.record):
                    self._machine.apply(watch.record, Warned())

    def _clock_zero(self) -> datetime:
        """Return the time of day at which the clock's seconds were 0; a suspension moves it."""
        return self.clock.today() - timedelta(seconds=self.clock.seconds())

    def _check_session(self, watch: _Watch, now: float) -> float | None:
        """End a session that has expired, or warn. Return the seconds until its next check, None after its end."""
        record = watch.record
        self._measure(watch, now)
        over = [why for why, left in self._seconds_left(watch, now).items() if left <= 0]
        if "time_limit" in over or ("idle" in over and now == watch.measured_at):
            del self._watches[record.id]
            # The first words of the reasons: managers 23.09 to 26.8.
            if "time_limit" in over:
                self._expire(record, f"time-limit: it ran for its full {human_time(record.time_limit)}")
            else:
                self._expire(record, f"idle-timeout: it was not used for {human_time(record.idle_timeout)}")
            return None
        self._warn(watch, now)
        return self._next_check(watch, now)

    def _measure(self, watch: _Watch, now: float) -> None:
        """Measure whether a session was in use. Half a pause is the shortest interval that says anything."""
        span = now - watch.measured_at
        if not watch.record.idle_timeout or span < watch.pause / 2:
            return
        activity, before = self._activity(watch.record), watch.measured
        used = (activity.cpu_ms - before.cpu_ms) / 1000 / span
        if activity.busy or activity.times_busy != before.times_busy or max(used, activity.gpu) > IDLE_SHARE:
            watch.used_at = now
        watch.measured_at, watch.measured = now, activity

    def _next_check(self, watch: _Watch, now: float) -> float:
        """Return the seconds until the next check: on time for a limit, and not too often for measurements."""
        moments = {
            why: [left - mark for mark in (*WARN_SECONDS, 0.0) if left > mark]
            for why, left in self._seconds_left(watch, now).items()
        }
        pause = min([_CHECK_SECONDS[1], *moments.get("idle", [])])
        if watch.record.idle_timeout:
            pause = max(min(pause, watch.measured_at + watch.pause - now), watch.pause / 2)
        return min([pause, *moments.get("time_limit", [])])

    def _warn(self, watch: _Watch, now: float) -> None:
        """Publish a warning if an end has come near since the last check, or is no longer near."""
        limits = {"idle": watch.record.idle_timeout, "time_limit": watch.record.time_limit}
        left = self._seconds_left(watch, now)
        near = [(mark, why) for why in left for mark in WARN_SECONDS if left[why] <= mark < limits[why]]
        warning = (min(near)[1], min(near)[0]) if near else None
        if warning != watch.warned:
            watch.warned = warning
            self._machine.apply(watch.record, Warned())


def ended_by(record: Record) -> str | None:
    """Return which timeout ended a session: "idle", "time_limit", or None."""
    return _ENDS.get(record.status_info.partition(":")[0])
