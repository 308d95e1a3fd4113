"""The scripted notebook on a session of its own, and what is left when it has been run."""

from __future__ import annotations

import pytest

from jupyter_sessions.service import SessionService
from tests.kernels.script import client, nothing, play
from tests.manager.world import until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter")]


async def test_owned(service: SessionService) -> None:
    notebook = client("owned")
    async with notebook.async_setup_kernel():
        (row,) = (await service.list()).sessions
        await play(notebook)
        (now,) = (await service.list()).sessions
        assert (now.id, now.restarts) == (row.id, 1)
    await until(lambda: nothing(service))
