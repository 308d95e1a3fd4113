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
from jupyter_sessions.service import Service
from tests import processes

BLOCKS, ROUNDS, WARM_UP = 6, 30, 5
MOST_ADDED = 0.005
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
    service = Service(JupyterSessions())
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
    taken: dict[str, list[float]] = {"kernel": [], "magic": []}
    with processes.server(state, tmp_path) as made:
        row = made.running("demo", resources={"cpu": "2", "mem": "512m"})
        with made.shell() as shell, direct(row) as client:
            shell.run("%load_ext jupyter_sessions")
            for _ in range(BLOCKS):
                taken["kernel"].append(median([seconds(client) for _ in range(ROUNDS + WARM_UP)][WARM_UP:]))
                said = shell.run(TIMED).of("stream")
                times = json.loads("".join(content["text"] for content in said).splitlines()[-1])
                taken["magic"].append(median(times[WARM_UP:]))
    kernel, magic = min(taken["kernel"]), min(taken["magic"])
    report(f"%%session: {1000 * magic:.1f} ms, the kernel itself {1000 * kernel:.1f} ms")
    assert magic - kernel <= MOST_ADDED
