"""Services of sessions: which can be reached, what they share, and what they may cost."""

from __future__ import annotations

import pytest

from jupyter_sessions.errors import NotFound
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import place
from tests.manager.world import run

pytestmark = pytest.mark.asyncio

AT = "/jupyter-sessions/services/local/x/y/"


@pytest.mark.parametrize("name", ["kernel", "main", "no-such"])
async def test_only_declared_services_are_reached(shared: SessionService, name: str) -> None:
    row = await run(shared, f"has-no-{name}")
    before = sorted(place().run_folder().rglob("*"))
    with pytest.raises(NotFound, match=f"no service '{name}'"):
        await shared.open_service("local", row.id, name, AT)
    assert sorted(place().run_folder().rglob("*")) == before, "a relay was opened"
    after = await shared.get("local", row.id)
    assert after.num_queries == row.num_queries
