"""A new session under the name of one that is still being ended."""

from __future__ import annotations

import pytest

from jupyter_sessions.errors import AlreadyExists
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.manager.world import Rest, ask, reach, run, says, until

pytestmark = pytest.mark.asyncio

STAYS = "import atexit, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); atexit.register(time.sleep, 30)"
WAITS = "Waiting for the earlier 'demo' to end."
NAMED = "query($id: String!) { legacy_compute_session(sess_id: $id) { session_id } }"


async def dying(service: SessionService) -> SessionInfo:
    """A session that takes the grace time to end."""
    row = await run(service, "demo", preopen_ports=[18123])
    await says(service, row, STAYS)
    assert (await service.destroy("local", row.id)).status == "TERMINATING"
    return row


async def waits(service: SessionService, uid: str) -> SessionInfo:
    """The row of a session once its reason to wait is known."""

    async def told() -> SessionInfo | None:
        row = await service.get("local", uid)
        return row if row.status_info else None

    row: SessionInfo = await until(told)
    assert (row.status, row.status_info) == ("PENDING", WAITS)
    return row


async def test_it_is_made_at_once_and_has_the_name(service: SessionService) -> None:
    old = await dying(service)
    new = await ask(service, "demo", preopen_ports=[18123])
    assert (new.id != old.id, new.reused, new.status) == (True, False, "PENDING")
    await waits(service, new.id)
    again = await ask(service, "demo")
    assert (again.id, again.reused) == (new.id, True), "it has the name now"
    with pytest.raises(AlreadyExists):
        await ask(service, "demo", reuse_if_exists=False)
    assert (await service.find("demo")).id == new.id
    async with Rest() as rest:
        assert (await rest.send("GET", "/session/demo")).json()["status"] == "PENDING"
        found = await rest.send("POST", "/admin/graphql", {"query": NAMED, "variables": {"id": "demo"}})
        assert found.json()["legacy_compute_session"]["session_id"] == new.id


async def test_it_can_be_cancelled_and_starts_when_the_earlier_has_ended(service: SessionService) -> None:
    old = await dying(service)
    new = await ask(service, "demo")
    assert (await service.destroy("local", new.id)).status == "CANCELLED"
    assert (await service.find("demo")).id == old.id
    new = await ask(service, "demo", preopen_ports=[18123])
    await waits(service, new.id)
    await service.destroy("local", old.id, forced=True)
    new = await reach(service, new, "RUNNING")
    old = await service.get("local", old.id)
    assert old.terminated_at and new.scheduled_at and old.terminated_at <= new.scheduled_at
