"""One scripted notebook on every kind of kernel, and what is left when it has been run."""

from __future__ import annotations

import pytest

from jupyter_sessions.service import Service
from tests.kernels.script import client, nothing, play
from tests.manager.world import run, says, until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter")]


async def test_plain() -> None:
    notebook = client("python3")
    async with notebook.async_setup_kernel():
        await play(notebook)


async def test_owned(service: Service) -> None:
    notebook = client("owned")
    async with notebook.async_setup_kernel():
        (row,) = (await service.list()).sessions
        await play(notebook)
        (now,) = (await service.list()).sessions
        assert (now.id, now.restarts) == (row.id, 1)
    await until(lambda: nothing(service))


async def test_attached(service: Service) -> None:
    row = await run(service, "demo", resources={"mem": "400m"})
    notebook = client("attached")
    async with notebook.async_setup_kernel():
        await play(notebook)
        await says(service, row, "print('told by another'); told = 1")
        assert await says(service, row, "print(told)") == "1"
    row = await service.get("local", row.id)
    assert (row.status, row.restarts) == ("RUNNING", 1)
    assert await says(service, row, "print(told)") == "1"
