"""Notebooks whose session waits and is given up, never starts, or loses its manager."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from jupyter_sessions.model import SessionInfo, reason
from jupyter_sessions.service import SessionService
from tests.kernels.conftest import SMALL, change
from tests.kernels.page import Page, of_notebooks, page, post
from tests.manager.world import ask, configure, ended, kill_manager, run, until
from tests.processes import QUICKLY, Server, server

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter"), pytest.mark.timeout(180)]


async def shut_down(service: SessionService, made: Server, kernel: str, row: SessionInfo) -> None:
    await asyncio.to_thread(made.ask, "DELETE", f"api/kernels/{kernel}")


async def interrupt(service: SessionService, made: Server, kernel: str, row: SessionInfo) -> None:
    await asyncio.to_thread(made.ask, "POST", f"api/kernels/{kernel}/interrupt")


async def cancel(service: SessionService, made: Server, kernel: str, row: SessionInfo) -> None:
    await service.destroy("local", row.id)


GIVEN_UP: dict[Callable[[SessionService, Server, str, SessionInfo], Awaitable[None]], str] = {
    shut_down: "its notebook was shut down",
    interrupt: "user-requested",
    cancel: "user-requested",
}
"""Ways to give up waiting, each with the reason that the session shows."""


async def test_waiting_is_given_up(service: SessionService, state: Path, tmp_path: Path) -> None:
    configure(state, max_sessions=1)
    holder = await run(service, "holder")
    with server(state, tmp_path, QUICKLY) as made:
        for act, why in GIVEN_UP.items():
            model = await asyncio.to_thread(post, made, "one.ipynb", "owned")
            kernel = model["kernel"]["id"]
            (row,) = await of_notebooks(service)
            async with page(made, kernel) as opened:
                uid = await opened.execute("print(1)")
                await opened.until(lambda: "waiting" in opened.shown(uid))  # noqa: B023
                await act(service, made, kernel, row)
                now = await ended(service, row)
                assert (now.status, now.status_info) == ("CANCELLED", why)
                if act is not shut_down:  # With it the page closes.
                    await told_why(opened, uid, "Interrupted" if act is interrupt else reason(why))
            await until(lambda: not made.ask("GET", "api/kernels"))
            assert not made.ask("GET", "api/sessions")
            assert [one.id for one in (await service.list()).sessions] == [holder.id]


async def told_why(opened: Page, uid: str, why: str) -> None:
    """The cell ends with an error that says why, and the kernel is shown as dead."""
    reply = await opened.reply(uid)
    assert reply["status"] == "error" and why in reply["evalue"]
    assert why in opened.shown(uid)
    await opened.until(lambda: opened.dead)


async def test_an_attached_notebook_waits_too(service: SessionService, state: Path, tmp_path: Path) -> None:
    """Its interrupt gives up the cell, not the session; a manager that crashes lets it in again."""
    configure(state, max_sessions=1)
    holder = await run(service, "holder")
    row = await ask(service, "demo", resources=SMALL)
    with server(state, tmp_path, QUICKLY) as made:
        model = await asyncio.to_thread(post, made, "one.ipynb", "attached")
        async with page(made, model["kernel"]["id"]) as opened:
            first = await opened.execute("print(1)")
            await opened.until(lambda: "waiting" in opened.shown(first))
            await interrupt(service, made, model["kernel"]["id"], row)
            assert (await opened.reply(first))["ename"] == "KeyboardInterrupt"
            assert (await service.get("local", row.id)).status == "PENDING"
            await kill_manager()
            await service.get("local", row.id)
            await asyncio.sleep(0.5)  # The server's sockets try to connect again.
            second = await opened.execute("print(6 * 7)")
            await opened.until(lambda: "waiting" in opened.shown(second))
            likely = await opened.language_info()  # This manager has not met such a kernel yet.
            await service.destroy("local", holder.id)
            assert (await opened.reply(second))["status"] == "ok"
            assert opened.shown(second) == "42\n"
            assert await opened.language_info() == likely == opened.language


async def test_what_never_starts_says_why(
    service: SessionService, state: Path, tmp_path: Path, jupyter: Path
) -> None:
    configure(state, max_sessions=1)
    change(jupyter, image="/bin/false")
    holder = await run(service, "holder")
    with server(state, tmp_path, QUICKLY) as made:
        model = await asyncio.to_thread(post, made, "one.ipynb", "owned")
        async with page(made, model["kernel"]["id"]) as opened:
            uid = await opened.execute("print(1)")
            await service.destroy("local", holder.id)
            await told_why(opened, uid, "the kernel ended before it was ready")
        await until(lambda: not made.ask("GET", "api/kernels"))
        with pytest.raises(AssertionError, match="the kernel ended before it was ready"):
            await asyncio.to_thread(post, made, "one.ipynb", "owned")
        await run(service, "holder")
        change(jupyter, image="python", launch_timeout=1)
        model = await asyncio.to_thread(post, made, "two.ipynb", "owned")
        async with page(made, model["kernel"]["id"]) as opened:
            uid = await opened.execute("print(1)")
            await told_why(
                opened, uid, "it did not start within the time that its notebook waits (waiting for"
            )
        await until(lambda: not made.ask("GET", "api/kernels"))
