"""The usage of a session, measured on request, in the form of `live_stat`.

Source: agents of Backend.AI 23.09 to 26.8: each metric is ``{current, capacity, pct, unit_hint, stats.…}``, all as
text; `pct` is relative to the requested amount, bytes and milliseconds are whole. Percentages of `cpu_util` are of one
core. Network traffic cannot be assigned to sessions on one machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal

from jupyter_sessions.manager.runtime import gpu_usage, proc
from jupyter_sessions.manager.runtime.limits import LimitsGroup

Metric = dict[str, str | None]
LEAST_SECONDS = 0.5
"""Seconds between two measurements of a rate; requests in between get the last rate."""


class Meter:
    """Measures a session or one of its members.

    `cpu_ms` includes processes before restarts; `limits_groups` returns the groups of its processes, none before the start.
    """

    def __init__(
        self,
        slots: dict[str, Decimal],
        limits_groups: Callable[[], list[LimitsGroup]],
        cpu_ms: Callable[[], int],
        gpus: Callable[[], list[str]],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slots = slots
        self._limits_groups = limits_groups
        self._cpu_ms = cpu_ms
        self._gpus = gpus
        self._seconds = seconds
        self._began: tuple[float, int] | None = None
        self._last = (0.0, 0)
        self._rate = self._most = 0.0
        self._io = Traffic()
        self._most_gpu = self._most_gpu_mem = 0.0

    def stats(self) -> dict[str, Metric]:
        """Return all current metrics, or {} before the start."""
        limits_groups = self._limits_groups()
        if not limits_groups:
            return {}
        usages, cpu_ms = [limits_group.usage() for limits_group in limits_groups], self._cpu_ms()
        pids = [pid for limits_group in limits_groups for pid in limits_group.pids()]
        read, written = self._io.count(pids, self._seconds())
        mem = self._slots["mem"]
        return {
            "cpu_util": self._cpu(cpu_ms),
            "cpu_used": _metric(cpu_ms, None, "msec"),
            "mem": _metric(
                sum(usage.mem for usage in usages),
                mem,
                "bytes",
                max=sum(usage.mem_peak for usage in usages),
            ),
            "io_read": _metric(read[0], None, "bytes", rate=round(read[1])),
            "io_write": _metric(written[0], None, "bytes", rate=round(written[1])),
            **self._devices(),
        }

    def _cpu(self, cpu_ms: int) -> Metric:
        now = self._seconds()
        if self._began is None:
            self._began = self._last = (now, cpu_ms)
        span = now - self._last[0]
        if span >= LEAST_SECONDS:
            self._rate = (cpu_ms - self._last[1]) / span / 10
            self._most = max(self._most, self._rate)
            self._last = (now, cpu_ms)
        whole = now - self._began[0]
        average = (cpu_ms - self._began[1]) / whole / 10 if whole >= LEAST_SECONDS else self._rate
        capacity = 100 * self._slots["cpu"]
        return _metric(
            round(self._rate, 2), capacity, "percent", avg=round(average, 2), max=round(self._most, 2)
        )

    def _devices(self) -> dict[str, Metric]:
        found = gpu_usage.usage(self._gpus())
        if not found:
            return {}
        used, total = sum(gpu.mem for gpu in found), sum(gpu.mem_total for gpu in found)
        self._most_gpu_mem = max(self._most_gpu_mem, used)
        metrics = {"cuda_mem": _metric(used, total, "bytes", max=round(self._most_gpu_mem))}
        if any(gpu.busy is not None for gpu in found):
            busy = 100 * sum(gpu.busy or 0.0 for gpu in found)
            self._most_gpu = max(self._most_gpu, busy)
            metrics["cuda_util"] = _metric(
                round(busy, 2), 100 * len(found), "percent", max=round(self._most_gpu, 2)
            )
        return metrics


class Traffic:
    """The bytes that processes have read from and written to disks, including the last values of ended processes."""

    def __init__(self) -> None:
        self._ended = (0, 0)
        self._living: dict[int, tuple[int, int]] = {}
        self._last: tuple[float, tuple[int, int]] | None = None
        self._rates = (0.0, 0.0)

    def count(self, pids: list[int], now: float) -> tuple[tuple[int, float], tuple[int, float]]:
        """Return, for reads and for writes, the total bytes and the recent bytes per second."""
        living = {pid: amounts for pid in pids if (amounts := proc.io_bytes(pid))}
        for pid, before in self._living.items():
            if pid not in living or living[pid][0] < before[0] or living[pid][1] < before[1]:
                self._ended = (self._ended[0] + before[0], self._ended[1] + before[1])
        self._living = living
        totals = tuple(
            self._ended[side] + sum(amounts[side] for amounts in living.values()) for side in (0, 1)
        )
        if self._last is None or now - self._last[0] >= LEAST_SECONDS:
            if self._last is not None:
                span, before = now - self._last[0], self._last[1]
                self._rates = ((totals[0] - before[0]) / span, (totals[1] - before[1]) / span)
            self._last = (now, (totals[0], totals[1]))
        return (totals[0], self._rates[0]), (totals[1], self._rates[1])


def _metric(current: float | Decimal, capacity: float | Decimal | None, unit: str, **stats: float) -> Metric:
    """Return one metric in its wire form."""
    share = 100 * float(current) / float(capacity) if capacity else 0.0
    return {
        "current": str(current),
        "capacity": None if capacity is None else str(capacity),
        "pct": f"{share:.2f}",
        "unit_hint": unit,
        **{f"stats.{name}": str(value) for name, value in stats.items()},
    }
