"""A session on this machine, from its making to its end."""

from __future__ import annotations

import pytest

from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import Service

pytestmark = pytest.mark.asyncio


async def running(service: Service, row: SessionInfo) -> SessionInfo:
    async for found in service.wait(row.backend, row.id, lambda row: row.status in ("RUNNING", "ERROR")):
        row = found
    assert row.status == "RUNNING", row.status_info
    return row


async def test_a_session_from_start_to_end(service: Service) -> None:
    row = await service.create(SessionSpec(name="demo", image="python", resources={"cpu": 1, "mem": "512m"}))
    assert row.status in ("PENDING", "PREPARING", "RUNNING")
    row = await running(service, row)
    assert (row.image, row.resources) == ("python3", {"cpu": "1", "mem": "512m"})
    outputs = [output async for output in service.execute("local", row.id, "print(6 * 7)")]
    assert outputs[0].content == {"name": "stdout", "text": "42\n"}
    assert outputs[-1].content["status"] == "ok"
    assert (await service.destroy("local", row.id)).status == "TERMINATING"
    async for found in service.wait("local", row.id, lambda row: not row.live):
        row = found
    assert (row.status, row.status_info) == ("TERMINATED", "user-requested")
