"""What `%%session` adds to a cell: the magic in a notebook of a server beside a client of the same kernel, in turns."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
import pytest
from jupyter_client import BlockingKernelClient

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from tests import processes

BLOCKS, ROUNDS, WARM_UP = 6, 30, 5
DESIGNED_KERNEL_MS, DESIGNED_MORE_MS = 4.6, 5.0
MOST = (DESIGNED_KERNEL_MS + DESIGNED_MORE_MS) / DESIGNED_KERNEL_MS
"""5 ms more where the kernel itself takes 4.6 ms; on a machine of another pace as much of its own time."""
TIMED = f"""
import time
def _timed():
    began = time.perf_counter()
    get_ipython().run_cell_magic("session", "demo", "1 + 1")
    return time.perf_counter() - began
print([_timed() for _ in range({ROUNDS + WARM_UP})])
"""


@contextmanager
def direct(row: dict[str, Any]) -> Iterator[BlockingKernelClient]:
    """A client of the session's kernel."""
    client = BlockingKernelClient()
    client.load_connection_info(asyncio.run(_connection(row["id"])))
    client.start_channels()
    client.wait_for_ready(60)
    yield client
    client.stop_channels()


async def _connection(id: str) -> dict[str, Any]:
    service = SessionService(JupyterSessions())
    found = await service.connection("local", id)
    await service.close()
    return msgspec.structs.asdict(found) | {"key": found.key.encode()}


def seconds(client: BlockingKernelClient) -> float:
    """From the request until the kernel is idle again."""
    began = time.perf_counter()
    client.execute_interactive("1 + 1", output_hook=lambda message: None, timeout=60)
    return time.perf_counter() - began


@pytest.mark.timeout(300)
def test_beside_the_same_kernel(report: Callable[[str], None], state: Path, tmp_path: Path) -> None:
    pairs: list[tuple[float, float]] = []
    with processes.server(state, tmp_path) as made:
        row = made.running("demo", resources={"cpu": "2", "mem": "512m"})
        with made.shell() as shell, direct(row) as client:
            shell.run("%load_ext jupyter_sessions")
            for _ in range(BLOCKS):
                kernel = median([seconds(client) for _ in range(ROUNDS + WARM_UP)][WARM_UP:])
                said = shell.run(TIMED).of("stream")
                times = json.loads("".join(content["text"] for content in said).splitlines()[-1])
                pairs.append((kernel, median(times[WARM_UP:])))
    more = median(magic - kernel for kernel, magic in pairs)
    ratio = median(magic / kernel for kernel, magic in pairs)
    report(
        f"%%session: {1000 * more:.1f} ms more than the kernel itself, which takes "
        f"{1000 * median(kernel for kernel, _ in pairs):.1f} ms: {ratio:.2f}x (bound {MOST:.2f})"
    )
    assert ratio <= MOST
