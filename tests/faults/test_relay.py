"""What becomes of a relay's addresses when who is behind them, or before them, goes."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.identity import identify, own_identity
from tests.kernels.clients import connect, shell
from tests.manager.world import configure, ended, kill_manager, reach, run, until

pytestmark = pytest.mark.asyncio


async def test_addresses_outlive_the_kernel(service: SessionService) -> None:
    row = await run(service, "restarts")
    connection = await connect(service, row)
    with shell(connection) as front:
        front.run("x = 1")
        await service.restart("local", row.id)
        assert await connect(service, row) == connection
        assert "NameError" in front.run("x").error
        front.client.execute("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
        row = await until(lambda: restarted(service, row.id, 2))
        assert row.status_info == "its kernel ended and was restarted: killed by SIGKILL"
        assert front.run("print(2)").text == "2\n"
        front.client.execute("exit()")
        row = await until(lambda: restarted(service, row.id, 3))
        assert front.run("print(3)").text == "3\n"


async def restarted(service: SessionService, id: str, times: int) -> object:
    row = await service.get("local", id)
    return row if row.restarts == times and row.status == "RUNNING" else None


async def test_addresses_outlive_the_manager(service: SessionService) -> None:
    row = await run(service, "adopted")
    connection = await connect(service, row)
    with shell(connection) as front:
        front.run("x = 1")
        await kill_manager()
        await service.get("local", row.id)
        assert front.run("print(x)").text == "1\n"
        assert await connect(service, row) == connection
        await kill_manager(signal.SIGTERM)
        await service.get("local", row.id)
        assert front.run("print(x)").text == "1\n"


@pytest.mark.parametrize("crash", [False, True], ids=["manager lives", "manager crashes"])
async def test_the_owner_goes_without_a_word(service: SessionService, state: Path, crash: bool) -> None:
    configure(state, owner_grace=1)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    owner = identify(process.pid)
    row, kept = await run(service, "orphan"), await run(service, "kept")
    for one in (row, kept):
        await connect(service, one, owner)
    if crash:
        await kill_manager()
        await service.get("local", row.id)
    process.kill()
    process.wait()
    await connect(service, kept, own_identity())  # Somebody else takes it over in time.
    row = await ended(service, row)
    assert row.status_info == "the notebook that owned it has gone"
    await asyncio.sleep(1)
    assert (await reach(service, kept, "RUNNING")).id == kept.id
