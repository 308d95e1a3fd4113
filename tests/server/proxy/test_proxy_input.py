"""A session's backend is told that somebody works with a service, and of nothing that pages do by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from jupyter_sessions.server.proxy.contract import INPUTS_KEY

if TYPE_CHECKING:
    from conftest import FakeServices, Proxy

SESSION = ("local", "0123-session")


async def _message(proxy: Proxy) -> None:
    async with proxy.connect() as ws:
        await ws.send_str("typed")
        await ws.receive_str()


WORK: dict[str, Callable[[Proxy], Awaitable[object]]] = {
    "a message": _message,
    "a request that changes something": lambda proxy: proxy.fetch("echo", "POST", data=b"x"),
    "a page that is opened": lambda proxy: proxy.visit("echo"),
}


@pytest.mark.parametrize("what", WORK)
async def test_work_is_told_of_once_a_minute(proxy: Proxy, services: FakeServices, what: str) -> None:
    proxy.app.web_app.settings.pop(INPUTS_KEY, None)
    for _ in range(3):
        await WORK[what](proxy)
    await asyncio.sleep(0)
    assert services.touched == [SESSION]


async def test_what_pages_do_by_themselves_is_no_work(proxy: Proxy, services: FakeServices) -> None:
    proxy.app.web_app.settings.pop(INPUTS_KEY, None)
    for method in ("GET", "HEAD", "OPTIONS"):
        await proxy.fetch("echo", method)
    async with proxy.connect():
        pass
    await asyncio.sleep(0)
    assert services.touched == []
