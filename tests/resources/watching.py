"""What a hostile answer or request costs: the longest stop of the loop, and how much memory it takes."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path


async def longest_stop(work: asyncio.Future[object] | asyncio.Task[object]) -> float:
    """Return the most CPU seconds that one turn of the loop took while some work was done, whatever came of that.

    CPU time, because on a busy machine other programs stop the loop as well.
    """
    longest = 0.0
    before = time.thread_time()
    while not work.done():
        await asyncio.sleep(0.005)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    return longest


def peak_memory() -> int:
    """The most bytes that this process has had in memory since `forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def forget_peak() -> None:
    """Measure the most memory from now on."""
    Path("/proc/self/clear_refs").write_text("5")
