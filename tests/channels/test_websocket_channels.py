"""Channels through a Jupyter server that answers what no Jupyter server should."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from jupyter_sessions.channels.endpoint_client import EndpointClient
from jupyter_sessions.channels.kernel_endpoints import JupyterEndpoint
from jupyter_sessions.channels.websocket_channels import MOST_IN_ANSWER
from jupyter_sessions.errors import BadAnswer, Unauthorized

pytestmark = pytest.mark.asyncio
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = {"Authorization": "token secret"}


async def kernel(_: web.Request) -> web.Response:
    return web.json_response({"kernel": {"id": "one"}})


async def no_messages(_: web.Request) -> web.Response:
    return web.Response(status=404)


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    with suppress(ConnectionError):
        while True:
            await answer.write(b" " * 65536)
    return answer


def answering(body: bytes, headers: dict[str, str] | None = None) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers=headers)

    return handler


@asynccontextmanager
async def client_of(sessions: Handler, channels: Handler) -> AsyncIterator[EndpointClient]:
    """A client of a server with these answers, not connected yet."""
    app = web.Application()
    app.router.add_post("/api/sessions", sessions)
    app.router.add_get("/api/kernels", answering(b"[]"))
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


ANSWERS = {
    "deep": answering(b'{"kernel":' * 100_000),
    "malformed": answering(b'{"kernel"'),
    "large": answering(b'{"kernel":{"id":"one"}}' + b" " * MOST_IN_ANSWER),
    "endless": endless,
    "compressed": answering(gzip.compress(b'{"kernel":{"id":"one"}}'), {"Content-Encoding": "gzip"}),
    "another": answering(b"[1]"),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_that_no_jupyter_server_gives(kind: str) -> None:
    async with client_of(ANSWERS[kind], no_messages) as client:
        with pytest.raises(BadAnswer) as caught:
            await client.open()
    assert "Jupyter server" in caught.value.message and caught.value.hint


@pytest.mark.parametrize("kind", ANSWERS)
async def test_no_cell_waits_for_a_server_that_comes_back_changed(kind: str) -> None:
    cut = asyncio.Event()
    answers = iter([kernel])

    async def sessions(request: web.Request) -> web.StreamResponse:
        return await next(answers, ANSWERS[kind])(request)

    async def channels(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await cut.wait()
        await socket.close()
        return socket

    async with client_of(sessions, channels) as client, asyncio.timeout(20):
        await client.open()
        run = client.execute("1")
        cut.set()
        assert await run.messages.get() is None
        assert run.reply and run.reply["status"] == "error" and client.closed.is_set()


async def test_an_empty_token_against_cross_site_requests_is_asked_for_once() -> None:
    asked = 0

    async def sessions(_: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        answer = web.Response(status=403)
        answer.set_cookie("_xsrf", "")
        return answer

    async with client_of(sessions, no_messages) as client:
        with pytest.raises(Unauthorized):
            await client.open()
    assert asked == 1
