"""A new session under the name of one that is still being ended, when the manager dies."""

from __future__ import annotations

import pytest

from jupyter_sessions.service import SessionService
from tests.manager.test_namesakes import dying, waits
from tests.manager.world import Rest, ended, kill_manager, reach

pytestmark = pytest.mark.asyncio


async def test_over_the_kernel_api_and_a_restart_of_the_manager(service: SessionService) -> None:
    old = await dying(service)
    async with Rest("v4.20190615") as rest:
        made = await rest.send(
            "POST", "/kernel", {"lang": "python", "clientSessionToken": "demo", "enqueueOnly": True}
        )
        assert (made.status_code, made.json()["created"]) == (201, True)
        uid = made.json()["sessionId"]
    await waits(service, uid)
    await kill_manager()
    new = await reach(service, await service.get("local", uid), "RUNNING")
    old = await ended(service, old)
    assert old.terminated_at and new.scheduled_at and old.terminated_at <= new.scheduled_at
