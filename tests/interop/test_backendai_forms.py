"""The contract in the forms that managers up to v4 and v5 have, of our backend on this package's own manager.

No such manager can be had any more. Ours takes every version, and a proxy says that it is one of those.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from jupyter_sessions.backends import local
from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Backend
from jupyter_sessions.errors import SessionNotFound
from jupyter_sessions.testing import BackendContract
from tests.between import Between, advertising


@pytest_asyncio.fixture(params=["v5.20191215", "v4.20190615"])
async def between(machine: Path, request: pytest.FixtureRequest) -> AsyncIterator[Between]:
    """The proxy that speaks of an old version."""
    contact = local.find() or local.start()
    async with advertising(contact.url, request.param) as between:
        yield between


class TestContract(BackendContract):
    """What every backend must do."""

    other_image = sys.executable
    resources = {"cpu": "0.1", "mem": "128m"}
    keeps_notebooks = False
    bad_names = ("", "abc", "a b c", "-abc", "x" * 65)

    @pytest.fixture
    def backend(self, between: Between) -> Backend:
        """As a person would configure it."""
        contact = local.find() or local.start()
        keypair = contact.keypair
        return BackendAI(
            "lab", endpoint=between.url, access_key=keypair.access_key, secret_key=keypair.secret_key
        )

    @pytest.mark.asyncio
    async def test_what_happened_is_told_from_the_beginning_on(self, place: Backend) -> None:
        """Those managers keep no history: the creation and the latest change are known."""
        row = await self.create(place)
        await self.usable(place, row.id)
        made, began = await place.events(row.id)
        assert (made.what, began.what) == ("PENDING", "RUNNING") and made.when < began.when
        await place.destroy(row.id, forced=True)
        if await self.ended(place, row.id):
            first, last = await place.events(row.id)
            assert (first, last.when > began.when) == (made, True)
        with pytest.raises(SessionNotFound):
            await place.events(self.unknown_id)

    @pytest.mark.asyncio
    async def test_it_asks_in_that_form(self, place: Backend, between: Between) -> None:
        row = await self.create(place)
        await place.destroy(row.id, forced=True)
        root = "/kernel" if between.version == "v4.20190615" else "/session"
        assert {f"POST {root}", "POST /admin/graphql"} <= set(between.seen)
        assert any(asked.startswith(f"DELETE {root}/{row.id}") for asked in between.seen)
