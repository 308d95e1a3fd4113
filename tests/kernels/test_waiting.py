"""Notebooks whose session waits: what they show, and that it is one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_sessions.errors import LaunchFailed
from jupyter_sessions.service import SessionService
from tests.kernels.conftest import change
from tests.kernels.page import of_notebooks, page, post
from tests.kernels.script import client
from tests.manager.world import ask, configure, ended, run
from tests.processes import QUICKLY, server

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter"), pytest.mark.timeout(180)]


async def test_a_cell_waits_and_then_runs(service: SessionService, state: Path, tmp_path: Path) -> None:
    configure(state, max_sessions=1)
    holder = await run(service, "holder")
    ahead = await ask(service, "ahead")
    with server(state, tmp_path, QUICKLY) as made:
        model = await asyncio.to_thread(post, made, "one.ipynb", "owned")
        (row,) = await of_notebooks(service)
        assert row.status == "PENDING"
        assert [one["path"] for one in made.ask("GET", "api/sessions")] == ["one.ipynb"]
        async with page(made, model["kernel"]["id"]) as opened:
            first = await opened.execute("import os; print(6 * 7)")
            await opened.until(lambda: "another session to end. Second in the queue" in opened.shown(first))
            await service.destroy("local", ahead.id)
            await opened.until(
                lambda: opened.shown(first).endswith("session to end. Interrupt the kernel to give up.\n")
            )
            assert "2nd" not in opened.shown(first)
            again = await asyncio.to_thread(post, made, "one.ipynb", "owned")
            assert again["kernel"]["id"] == model["kernel"]["id"]
            assert [one.id for one in await of_notebooks(service)] == [row.id]
            await asyncio.to_thread(made.ask, "POST", f"api/kernels/{model['kernel']['id']}/restart")
            assert (await opened.reply(first))["ename"] == "KeyboardInterrupt"
            assert [one.id for one in await of_notebooks(service)] == [row.id]
            first = await opened.execute("import os; print(6 * 7)")
            second = await opened.execute("print(os.environ['BACKENDAI_SESSION_ID'])")
            await service.destroy("local", holder.id)
            assert (await opened.reply(second))["status"] == "ok"
            assert (opened.shown(first), opened.shown(second)) == ("42\n", f"{row.id}\n")
        made.ask("DELETE", f"api/kernels/{model['kernel']['id']}")
        await ended(service, row)


async def test_elsewhere_one_waits_and_is_told(
    service: SessionService, state: Path, jupyter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """nbclient, which has no page to show anything in."""
    configure(state, max_sessions=1)
    holder = await run(service, "holder")
    change(jupyter, launch_timeout=0.5)
    with pytest.raises(LaunchFailed, match=r"did not start within 0.5 s: it is waiting for another"):
        async with client("owned").async_setup_kernel():
            pass
    assert "is waiting for another session to end" in capsys.readouterr().err
    assert [one.id for one in (await service.list()).sessions] == [holder.id]
