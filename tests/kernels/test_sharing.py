"""Kernels of one notebook that share the session that was made for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_sessions.kernels import shared_creates
from jupyter_sessions.kernels.session import KernelSession, Wanted, say
from jupyter_sessions.kernels.session_kernels import SessionKernels
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.identity import own_identity
from tests.kernels.conftest import SMALL
from tests.manager.world import ended, until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter"), pytest.mark.timeout(180)]


def kernel(folder: Path, name: str, kernels: SessionKernels) -> KernelSession:
    """A kernel of the notebook in a folder, as a server starts it; its session starts once there is a file `go`."""
    script = "until [ -e go ]; do sleep 0.02; done"
    spec = SessionSpec(
        name=name,
        image="python",
        resources=dict(SMALL),
        cwd=str(folder),
        bootstrap_script=script,
        reuse_if_exists=False,
        owner=own_identity(),
        notebook_path=str(folder / "one.ipynb"),
    )
    return KernelSession(Wanted(spec=spec, waits=False), say, kernels)


async def test_one_that_starts_slowly(
    service: SessionService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_creates, "_JUST_NOW_SECONDS", 0)
    kernels = SessionKernels()
    first, second = kernel(tmp_path, "one-a", kernels), kernel(tmp_path, "one-b", kernels)
    starting = [asyncio.create_task(first.begin())]

    async def prepares() -> bool:
        return [row.status for row in (await service.list()).sessions] == ["PREPARING"]

    await until(prepares)
    starting.append(asyncio.create_task(second.begin()))
    await until(lambda: kernels.creates.starting() == [2])
    (tmp_path / "go").touch()
    await asyncio.gather(*starting)
    assert first.row is not None and second.row is not None
    assert first.row.id == second.row.id
    await first.let_go()
    await first.let_go()
    assert (await service.get("local", second.row.id)).status == "RUNNING"
    await second.let_go()
    await ended(service, second.row)
    await asyncio.to_thread(kernels.close)
