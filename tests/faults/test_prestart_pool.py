"""The manager keeps an interpreter ready for the next session, and takes it with it when it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.manager.world import (
    configure,
    ended,
    kernels,
    kill_manager,
    nothing_left,
    prestarted,
    run,
    says,
    until,
)

pytestmark = pytest.mark.asyncio


def parent(row: SessionInfo) -> str:
    """What keeps a session's kernel."""
    (kernel,) = kernels(row)
    above = psutil.Process(kernel).parent()
    assert above is not None
    return Path(next(part for part in above.cmdline() if part.endswith(".py"))).name


async def test_sessions_out_of_the_pool_are_like_others(service: SessionService, state: Path) -> None:
    configure(state, max_resources={"cpu": 2})
    first = await run(service, "first")
    assert parent(first) == "shim.py"
    await until(prestarted)
    second = await run(service, "second")
    assert parent(second) == "prestart_shim.py"
    await says(service, second, "kept = 1")
    third = await run(service, "third")
    waiting = await until(prestarted)
    await kill_manager()
    await until(lambda: not any(one.is_running() and one.status() != "zombie" for one in waiting))
    assert kernels(second)
    local.start()
    assert await says(service, second, "print(kept)") == "1"
    await service.restart("local", second.id)
    assert await says(service, second, "print('kept' in globals())") == "False"
    (pid,) = kernels(third)
    os.kill(pid, signal.SIGKILL)
    third = await ended(service, third)
    assert third.status_info == "self-terminated: killed by SIGKILL"
    waiting = await until(prestarted)
    await service.destroy("local", second.id)
    await ended(service, second)
    await nothing_left(second)
    await kill_manager(signal.SIGTERM)
    await until(lambda: not any(one.is_running() and one.status() != "zombie" for one in waiting))
