"""Idle timeouts and time limits, on a clock of our own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from jupyter_sessions.manager.core.changes import Warned
from jupyter_sessions.manager.core.events import Bus
from jupyter_sessions.manager.core.expiry import Activity, Clock, ExpiryWatcher
from jupyter_sessions.manager.core.machine import SessionMachine
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.manager.core.transitions import Transition
from tests.manager.records import make_record

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE, HOUR = 60.0, 3600.0


class World:
    """An expiry with a clock, whose sessions are used as a test says."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.asleep = 0.0
        self.activity = Activity()
        self.ended: list[tuple[str, float]] = []
        self.told: list[float] = []
        clock = Clock(lambda: self.seconds, lambda: NOON + timedelta(seconds=self.seconds + self.asleep))
        self.machine = SessionMachine(Store(Path(":memory:")), Bus())
        self.machine.listen(self._hear)
        self.expiry = ExpiryWatcher(
            self.machine,
            activity=lambda record: self.activity,
            expire=lambda record, why: self.ended.append((why, self.seconds - 1000)),
            clock=clock,
        )

    def _hear(self, record: Record, transition: Transition) -> None:
        if isinstance(transition, Warned):
            self.told.append(round(self.seconds - 1000))

    def session(self, **limits: float) -> Record:
        record = msgspec.structs.replace(make_record(), status="RUNNING", **limits)
        self.expiry.follow(record)
        return record

    def live(self, seconds: float, *, cores: float = 0.0, every: float | None = None) -> None:
        """Let time pass, in which the session uses that much CPU and somebody types `every` seconds."""
        end, typed = self.seconds + seconds, self.seconds
        while self.seconds < end:
            pause = self.expiry.check()
            step = min(pause or seconds, end - self.seconds, every or seconds)
            self.seconds += max(step, 0.001)
            used = self.activity.cpu_ms + round(1000 * cores * step)
            self.activity = msgspec.structs.replace(self.activity, cpu_ms=used)
            if every and self.seconds - typed >= every:
                typed = self.seconds
                for watch in list(self.expiry._watches.values()):
                    self.expiry.touch(watch.record)
        self.expiry.check()


def test_an_unused_session_ends_once_its_timeout_is_over_and_not_before() -> None:
    world = World()
    world.session(idle_timeout=30 * MINUTE)
    world.live(30 * MINUTE - 2)
    assert world.ended == []
    world.live(MINUTE)
    ((why, when),) = world.ended
    assert why == "idle-timeout: it was not used for 30 min"
    assert 30 * MINUTE <= when <= 31 * MINUTE
    assert world.expiry.check() is None


def test_use_of_any_kind_keeps_it() -> None:
    for used in ({"cores": 0.06}, {"every": 25 * MINUTE}):
        world = World()
        world.session(idle_timeout=30 * MINUTE)
        world.live(10 * HOUR, **used)
        assert world.ended == [], used
    for activity in (Activity(busy=True), Activity(gpu=0.06)):
        world = World()
        world.session(idle_timeout=30 * MINUTE)
        world.activity = activity
        world.live(10 * HOUR)
        assert world.ended == [], activity


def test_a_trickle_of_cpu_is_no_use() -> None:
    world = World()
    world.session(idle_timeout=30 * MINUTE)
    world.live(HOUR, cores=0.04)
    assert len(world.ended) == 1


def test_a_kernel_that_was_busy_between_two_looks_was_used() -> None:
    world = World()
    world.session(idle_timeout=30 * MINUTE)
    for number in range(10):
        world.live(25 * MINUTE)
        world.activity = msgspec.structs.replace(world.activity, times_busy=number + 1)
    assert world.ended == []


def test_neither_suspension_nor_a_frozen_manager_counts() -> None:
    for limits in ({"idle_timeout": 30 * MINUTE}, {"time_limit": 30 * MINUTE}):
        world = World()
        world.session(**limits)
        world.live(20 * MINUTE)
        world.asleep += 9 * HOUR  # The monotonic clock stood still.
        world.live(5 * MINUTE)
        assert world.ended == [], limits
        world.seconds += 9 * HOUR  # It went on, but nobody could do anything.
        world.expiry.check()
        assert world.ended == [], limits
        world.live(6 * MINUTE)
        assert len(world.ended) == 1, limits


def test_a_time_limit_ends_what_is_in_use() -> None:
    world = World()
    world.activity = Activity(busy=True)
    world.session(time_limit=4 * HOUR, idle_timeout=30 * MINUTE)
    world.live(4 * HOUR + MINUTE, cores=1)
    ((why, when),) = world.ended
    assert why == "time-limit: it ran for its full 4 h"
    assert 4 * HOUR <= when <= 4 * HOUR + 2


def test_warnings_come_ten_and_two_minutes_before() -> None:
    world = World()
    record = world.session(time_limit=HOUR)
    world.live(HOUR - 1)
    assert world.told == [50 * MINUTE, 58 * MINUTE]
    ending = world.expiry.ending(record)
    assert ending is not None
    assert (ending.at, ending.why) == (NOON + timedelta(seconds=1000 + HOUR), "time_limit")


def test_the_end_of_an_unused_one_is_told_when_it_is_near_and_taken_back_when_it_is_used() -> None:
    world = World()
    record = world.session(idle_timeout=30 * MINUTE)
    world.live(19 * MINUTE)
    assert world.expiry.ending(record) is None
    world.live(2 * MINUTE)
    ending = world.expiry.ending(record)
    assert ending is not None
    assert ending.why == "idle"
    assert abs((ending.at - NOON).total_seconds() - 1000 - 30 * MINUTE) <= 1
    told = len(world.told)
    world.expiry.touch(record)
    world.live(2 * MINUTE)
    assert world.expiry.ending(record) is None
    assert len(world.told) == told + 1


def test_renewing_begins_anew() -> None:
    world = World()
    record = world.session(time_limit=HOUR, idle_timeout=50 * MINUTE)
    world.live(49 * MINUTE)
    world.expiry.renew(record)
    world.live(49 * MINUTE)
    assert world.ended == []
    world.live(2 * MINUTE)
    assert len(world.ended) == 1


def test_a_restart_sets_the_idle_clock_to_zero_and_leaves_the_limit() -> None:
    world = World()
    record = world.session(time_limit=HOUR, idle_timeout=30 * MINUTE)
    world.live(29 * MINUTE)
    for status in ("RESTARTING", "RUNNING"):
        record.status = status
        world.expiry.follow(record)
    world.live(29 * MINUTE)
    assert world.ended == []
    world.expiry.touch(record)
    world.live(3 * MINUTE)
    assert [why for why, _ in world.ended] == ["time-limit: it ran for its full 1 h"]


def test_a_later_manager_goes_on_with_the_limit() -> None:
    first, second = World(), World()
    record = first.session(time_limit=HOUR)
    first.live(30 * MINUTE)
    second.seconds = first.seconds + 20 * MINUTE
    second.expiry.follow(record)
    second.live(9 * MINUTE)
    assert second.ended == []
    second.live(2 * MINUTE)
    assert len(second.ended) == 1


def test_idle_checks_say_what_is_left() -> None:
    world = World()
    record = world.session(time_limit=HOUR, idle_timeout=30 * MINUTE)
    world.live(10 * MINUTE)
    checks = world.expiry.checks(record)
    assert 1199 <= checks["network_timeout"]["remaining"] <= 1201
    assert 2999 <= checks["session_lifetime"]["remaining"] <= 3001
    assert {check["remaining_time_type"] for check in checks.values()} == {"grace_period", "expire_after"}
    assert world.expiry.checks(make_record()) == {}


def test_sessions_without_limits_cost_nothing() -> None:
    world = World()
    world.session()
    assert world.expiry.check() is None
