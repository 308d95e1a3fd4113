"""Measuring what processes use."""

from __future__ import annotations

import os
import sys
from decimal import Decimal

import pytest

from jupyter_sessions.manager.run.usage import Meter, Traffic
from jupyter_sessions.manager.runtime import gpu_usage, proc
from jupyter_sessions.manager.runtime.limits import Usage

MIB = 1024**2


class Scales:
    """A limits group of which a test says what is in it."""

    def __init__(self) -> None:
        self.now, self.cpu_ms = 100.0, 0
        self.inside: list[int] = []
        self.used = Usage(0, 64 * MIB, 80 * MIB)

    def usage(self) -> Usage:
        """As told."""
        return self.used

    def pids(self) -> list[int]:
        """As told."""
        return self.inside

    def meter(self, *gpus: str) -> Meter:
        """A meter of half a core and 256 MiB."""
        slots = {"cpu": Decimal("0.5"), "mem": Decimal(256 * MIB)}
        return Meter(slots, lambda: [self], lambda: self.cpu_ms, lambda: [*gpus], lambda: self.now)  # type: ignore[arg-type, return-value]


def test_rates_are_of_the_time_since_the_last_look() -> None:
    scales = Scales()
    meter = scales.meter()
    assert meter.stats()["cpu_util"]["current"] == "0.0"
    for seconds, used, percent in ((10, 5000, "50.0"), (10, 0, "0.0"), (0.1, 100, "0.0")):
        scales.now, scales.cpu_ms = scales.now + seconds, scales.cpu_ms + used
        stat = meter.stats()
        assert stat["cpu_util"]["current"] == percent
    assert stat["cpu_util"]["stats.max"] == "50.0"
    assert float(stat["cpu_util"]["stats.avg"] or 0) == pytest.approx(25, abs=1)
    assert stat["cpu_used"] == {"current": "5100", "capacity": None, "pct": "0.00", "unit_hint": "msec"}
    assert stat["mem"] == {
        "current": str(64 * MIB),
        "capacity": str(256 * MIB),
        "pct": "25.00",
        "unit_hint": "bytes",
        "stats.max": str(80 * MIB),
    }


def test_the_full_use_of_what_was_asked_for_is_100_percent() -> None:
    scales = Scales()
    meter = scales.meter()
    meter.stats()
    scales.now, scales.cpu_ms = scales.now + 4, 2000
    assert meter.stats()["cpu_util"]["pct"] == "100.00"


def test_nothing_is_said_before_the_start_nor_of_devices_that_are_not_there() -> None:
    assert Meter({"mem": Decimal(1)}, list, lambda: 0, list).stats() == {}
    assert gpu_usage.usage(["made-up-0"]) == []
    assert not {"cuda_mem", "cuda_util"} & set(Scales().meter("made-up-0").stats())


def test_what_was_written_stays_counted_after_its_process_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {1: (10, 100), 2: (0, 50)}
    monkeypatch.setattr(proc, "io_bytes", told.get)
    traffic = Traffic()
    assert traffic.count([1, 2], 0.0) == ((10, 0.0), (150, 0.0))
    told[2] = (0, 450)
    assert traffic.count([1, 2], 2.0) == ((10, 0.0), (550, 200.0))
    del told[1]
    assert traffic.count([2], 4.0) == ((10, 0.0), (550, 0.0))
    told[2] = (0, 5)  # The number was given to another process.
    assert traffic.count([2], 6.0)[1][0] == 555


def test_the_bytes_of_a_real_process_are_told() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells them")
    assert proc.io_bytes(os.getpid()) is not None
    assert proc.io_bytes(2**22 + 1) is None
