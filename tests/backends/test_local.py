"""A session on this machine, from its making to its end."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_sessions.amounts import format_slots
from jupyter_sessions.backends import local_rows
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.local import Local
from jupyter_sessions.model import Amount, SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio


async def running(service: SessionService, row: SessionInfo) -> SessionInfo:
    async for found in service.wait(row.backend, row.id, lambda row: row.status in ("RUNNING", "ERROR")):
        row = found
    assert row.status == "RUNNING", row.status_info
    return row


async def test_a_session_from_start_to_end(shared: SessionService) -> None:
    row = await shared.create(SessionSpec(name="demo", image="python", resources={"cpu": 1, "mem": "512m"}))
    assert row.status in ("PENDING", "PREPARING", "RUNNING")
    row = await running(shared, row)
    assert (row.image, row.resources) == ("python3", {"cpu": "1", "mem": "512m"})
    outputs = [output async for output in shared.execute("local", row.id, "print(6 * 7)")]
    assert outputs[0].content == {"name": "stdout", "text": "42\n"}
    assert outputs[-1].content["status"] == "ok"
    assert (await shared.destroy("local", row.id)).status == "TERMINATING"
    async for found in shared.wait("local", row.id, lambda row: not row.live):
        row = found
    assert (row.status, row.status_info) == ("TERMINATED", "user-requested")


async def test_no_row_is_lost_while_sessions_change_between_pages(
    service: SessionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each page one that was not on it is the most recently changed. Of a manager that gives pages only."""
    monkeypatch.setattr(local_rows, "PATH", "/jupyter-sessions/of-a-later-version")
    backend = service.backend("local")
    monkeypatch.setattr(type(backend), "page_size", 2)
    total = (await backend.capacity())["cpu"].total
    unread, ended = set[str](), set[str]()
    for name in ("takes-all", *(f"waits-{number}" for number in range(5))):
        spec = SessionSpec(name=name, image="python", resources={"cpu": total, "mem": "512m"})
        unread.add((await service.create(spec)).id)
    client = await backend.client()
    query = client.query

    async def then_change(text: str, variables: dict[str, Any]) -> Any:
        found = await query(text, variables)
        unread.difference_update(
            item["id"] for item in found.get("compute_session_list", {}).get("items", [])
        )
        if left := unread - ended:
            ended.add(min(left))
            await backend.destroy(min(left), forced=True)
        return found

    monkeypatch.setattr(client, "query", then_change)
    rows = await backend.list(Query(status="all"))
    assert len({row.id for row in rows}) == len(rows) == 6
    assert not unread


@pytest.mark.parametrize(
    ("total", "configured", "suggested"),
    [("16", {}, "8"), ("5", {}, "2"), ("1", {}, "1"), ("0.5", {}, "0.5"), ("16", {"cpu": "3"}, "3")],
)
async def test_a_form_starts_with_half_of_the_cpus(
    total: str, configured: dict[str, str], suggested: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def capacity(self: Local) -> dict[str, Amount]:
        return {"cpu": Amount(total=total, free=total), "mem": Amount(total="8g", free="8g")}

    monkeypatch.setattr(Local, "capacity", capacity)
    backend = Local("local", default_resources=configured)
    assert format_slots(await backend.suggested_resources()) == {"cpu": suggested, "mem": "2g"}
    await backend.close()
