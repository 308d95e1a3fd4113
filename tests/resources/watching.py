"""What a hostile answer or request costs: the longest stop of the loop, and how much memory it takes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path


async def longest_stop(work: asyncio.Future[object] | asyncio.Task[object]) -> float:
    """The longest time in seconds that the loop did nothing else while it did some work, whatever came of that."""
    longest = 0.0
    before = time.perf_counter()
    while not work.done():
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        longest, before = max(longest, now - before), now
    return longest


def peak_memory() -> int:
    """The most bytes that this process has had in memory since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def forget_peak() -> None:
    """Measure the most memory from now on."""
    Path("/proc/self/clear_refs").write_text("5")
