"""Fixtures: a Skaha server with recorded answers, and a backend on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from aiohttp import web

from jupyter_sessions.backends.skaha import Skaha
from tests.backends.recorded import Recorded


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Recorded]:
    recorded = Recorded()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", recorded.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    recorded.url = f"http://127.0.0.1:{runner.addresses[0][1]}/skaha"
    yield recorded
    await runner.cleanup()


@pytest_asyncio.fixture
async def lab(server: Recorded) -> AsyncIterator[Skaha]:
    backend = Skaha("lab", url=server.url, token="secret")
    yield backend
    await backend.close()
