"""TensorBoard by its plug-in for jupyter-server-proxy, in a session of another Python: a scalar is seen."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions.model import Endpoint, ServiceRequest
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.proxy.upstream import client, patiently, url
from tests.interop.venvs import TENSORBOARD
from tests.manager.world import run
from tests.waiting import until

WRITE = """
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
writer = EventFileWriter("runs")
value = Summary.Value(tag="loss", simple_value=0.25)
writer.add_event(Event(wall_time=1.0, step=3, summary=Summary(value=[value])))
writer.close()
"""


async def fetch(endpoint: Endpoint, path: str) -> Any:
    """The JSON that a service answers, once it listens."""
    async with client(endpoint) as session:
        answer = await patiently(lambda: session.get(url(endpoint, path)), 60)
        async with answer:
            return json.loads(await answer.read())


@pytest.mark.asyncio
async def test_a_scalar_is_seen(service: SessionService, tmp_path: Path) -> None:
    python = TENSORBOARD.program("python")
    subprocess.run([python, "-c", WRITE], check=True, cwd=tmp_path)
    asked = [ServiceRequest("tensorboard", {"logdir": "runs"})]
    memory = {"cpu": "1", "mem": "1g"}
    row = await run(service, "with-board", image=python, cwd=str(tmp_path), resources=memory, services=asked)

    async def ready() -> bool:
        services = (await service.get("local", row.id)).services
        board = next((one for one in services if one.name == "tensorboard"), None)
        assert board is None or board.state != "failed", board
        return board is not None and board.state == "ready"

    await until(ready, 60)
    endpoint = await service.open_service("local", row.id, "tensorboard", "/x/")
    assert endpoint.at_root
    scalars = "/data/plugin/scalars/scalars?run=.&tag=loss"
    assert await fetch(endpoint, scalars) == [[1.0, 3, 0.25]]
