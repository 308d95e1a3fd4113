"""Channels through a Jupyter server that answers what no Jupyter server should."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from jupyter_sessions.channels.endpoint_client import EndpointClient
from jupyter_sessions.channels.kernel_endpoints import JupyterEndpoint
from jupyter_sessions.errors import BadAnswer

pytestmark = pytest.mark.asyncio
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = {"Authorization": "token secret"}


async def kernel(_: web.Request) -> web.Response:
    return web.json_response({"kernel": {"id": "one"}})


@asynccontextmanager
async def client_of(sessions: Handler, channels: Handler) -> AsyncIterator[EndpointClient]:
    """A client of a server with these answers, not connected yet."""
    app = web.Application()
    app.router.add_post("/api/sessions", sessions)
    app.router.add_get("/api/kernels/one/channels", channels)
    async with TestServer(app) as server:
        client = EndpointClient(JupyterEndpoint(url=str(server.make_url("/")), headers=TOKEN))
        yield client
        await client.disconnect()


async def test_a_redirect_of_the_handshake_takes_no_token_along() -> None:
    seen = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(status=404)

    app = web.Application()
    app.router.add_get("/taken", elsewhere)
    async with TestServer(app) as other:

        async def channels(_: web.Request) -> web.Response:
            return web.Response(status=302, headers={"Location": str(other.make_url("/taken"))})

        async with client_of(kernel, channels) as client:
            with pytest.raises(BadAnswer, match="redirects"):
                await client.open()
    assert not seen
