"""How long a person waits: from asking for a session to the first result, beside jupyter_client.

Each session is asked for once the manager has had time to make ready for it, or in a manager that
keeps nothing ready.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from jupyter_client.manager import AsyncKernelManager

from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from tests.manager.world import configure, prestarted, until

pytestmark = pytest.mark.asyncio

ROUNDS = 7
MOST_COLD, MOST_WARM = 1.0, 0.3


async def by_jupyter_client() -> float:
    """Seconds to start the same kernel and run a cell, with nothing of ours."""
    began = time.perf_counter()
    manager = AsyncKernelManager(kernel_name="python3")
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready()
    await client.execute_interactive("1 + 1", output_hook=lambda message: None)
    took = time.perf_counter() - began
    client.stop_channels()
    await manager.shutdown_kernel(now=True)
    return took


async def by_session(service: SessionService, number: int) -> float:
    """Seconds to create a session and run a cell."""
    began = time.perf_counter()
    row = await service.create(SessionSpec(name=f"bench-{number}", image="python3"))
    async for _ in service.wait("local", row.id, lambda row: row.status in ("RUNNING", "ERROR")):
        continue
    outputs = [output async for output in service.execute("local", row.id, "1 + 1")]
    took = time.perf_counter() - began
    assert outputs[-1].content["status"] == "ok"
    await service.destroy("local", row.id, forced=True)
    async for _ in service.wait("local", row.id, lambda row: not row.live):
        continue
    return took


async def ready() -> None:
    """Wait until the manager keeps an interpreter ready, and that has been so for a while."""
    await until(prestarted)
    await asyncio.sleep(0.5)


@pytest.mark.parametrize(("kept", "most"), [(0, MOST_COLD), (1, MOST_WARM)], ids=["cold", "warm"])
async def test_create_to_first_result(
    service: SessionService, state: Path, kept: int, most: float, report: Callable[[str], None]
) -> None:
    configure(state, warm_pool=kept)
    await by_jupyter_client()
    await by_session(service, 0)
    plain, ours = [], []
    for number in range(1, ROUNDS + 1):
        if kept:
            await ready()
        plain.append(await by_jupyter_client())
        ours.append(await by_session(service, number))
    ratio = median(ours) / median(plain)
    report(
        f"create to first result, {kept} kept ready: {median(ours):.3f} s, "
        f"jupyter_client {median(plain):.3f} s: {ratio:.2f}x"
    )
    assert ratio <= most
