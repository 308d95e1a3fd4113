"""WebSockets through the proxy behave like WebSockets without it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiohttp import WSMsgType, WSServerHandshakeError

from tests.waiting import until

if TYPE_CHECKING:
    from conftest import FakeServices, Memory, Proxy

    from jupyter_sessions.model import Endpoint


async def eventually(proxy: Proxy, what: str) -> None:
    """Wait until the tiny service has noted something."""

    async def noted() -> bool:
        return what in (await proxy.fetch("gone")).json

    await until(noted)


async def test_text_and_bytes(proxy: Proxy) -> None:
    async with proxy.connect() as ws:
        await ws.send_str("grüße")
        assert await ws.receive_str() == "grüße"
        await ws.send_bytes(b"\x00\xff")
        assert await ws.receive_bytes() == b"\x00\xff"


async def test_the_service_chooses_the_sub_protocol(proxy: Proxy) -> None:
    async with proxy.connect(protocols=("v1.tiny", "v0.odd", "v2.tiny")) as ws:
        await ws.send_str("facts")
        headers = dict((await ws.receive_json())["headers"])
    assert ws.protocol == "v1.tiny"
    assert headers["Sec-WebSocket-Protocol"].replace(" ", "") == "v1.tiny,v0.odd,v2.tiny"


async def test_no_common_sub_protocol(proxy: Proxy) -> None:
    async with proxy.connect(protocols=("other",)) as ws:
        assert ws.protocol is None


async def test_nothing_is_compressed(proxy: Proxy) -> None:
    async with proxy.connect(compress=15) as ws:
        await ws.send_str("facts")
        names = {name.lower() for name, _ in (await ws.receive_json())["headers"]}
    assert not ws.compress
    assert "sec-websocket-extensions" not in names


async def test_the_service_closes_with_a_code(proxy: Proxy) -> None:
    async with proxy.connect() as ws:
        await ws.send_str("close 4123 enough of this")
        message = await ws.receive()
    assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 4123, "enough of this")


async def test_the_client_closes_with_a_code(proxy: Proxy) -> None:
    async with proxy.connect() as ws:
        await ws.send_str("hello")
        await ws.receive_str()
        await ws.close(code=4567, message=b"bye now")
    await eventually(proxy, "close 4567 bye now")


async def test_the_client_just_goes(proxy: Proxy) -> None:
    async with proxy.connect() as ws:
        await ws.send_str("hello")
        await ws.receive_str()
        ws._response.close()
    await eventually(proxy, "close 0 ")


async def test_the_service_just_goes(proxy: Proxy) -> None:
    async with proxy.connect() as ws:
        await ws.send_str("cut")
        message = await ws.receive()
        assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)
        assert ws.close_code in (None, 1000, 1006)


async def test_pings_of_both_sides(proxy: Proxy) -> None:
    async with proxy.connect(autoping=False) as ws:
        await ws.send_str("ping are you there")
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.PING, b"are you there")
        await ws.pong(message.data)
        assert await ws.receive_str() == "pong are you there"
        await ws.ping(b"and you")
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.PONG, b"and you")
    await eventually(proxy, "ping and you")


async def test_large_messages(proxy: Proxy) -> None:
    large = b"\xa5" * (40 << 20)
    async with proxy.connect(max_msg_size=0) as ws:
        await ws.send_bytes(large)
        assert await ws.receive_bytes() == large


async def test_a_slow_client_holds_the_service_back(proxy: Proxy, memory: type[Memory]) -> None:
    async with proxy.connect(max_msg_size=0) as ws:
        await ws.send_str("flood 20")
        for _ in range(20):
            await ws.receive_bytes()
        watch = memory()
        await ws.send_str("flood 300")
        await asyncio.sleep(1.5)
        assert watch.stayed_flat()
        for _ in range(300):
            assert len(await ws.receive_bytes()) == 1 << 20


async def test_a_slow_service_holds_the_client_back(proxy: Proxy, memory: type[Memory]) -> None:
    async with proxy.connect(max_msg_size=0) as ws:
        await ws.send_str("sleep 1.5")
        watch = memory()
        sending = asyncio.create_task(send_many(ws, 200))
        await asyncio.sleep(1)
        assert watch.stayed_flat() and not sending.done()
        for _ in range(200):
            assert len(await ws.receive_bytes()) == 1 << 20
        await sending


async def send_many(ws: aiohttp.ClientWebSocketResponse[bool], count: int) -> None:
    """Send so many MiB."""
    for _ in range(count):
        await ws.send_bytes(b"z" * (1 << 20))


async def test_redirects_of_a_handshake_are_not_followed(
    proxy: Proxy, services: FakeServices, tiny_tcp: Endpoint
) -> None:
    services.endpoints["tiny"] = tiny_tcp
    with pytest.raises(WSServerHandshakeError) as caught:
        await proxy.connect("redirect")
    assert caught.value.status == 502
    seen = f"{tiny_tcp.url}/services/b/i/s/seen"
    async with aiohttp.ClientSession() as direct, direct.get(seen) as answer:
        assert "from=redirect" not in await answer.text()


async def test_a_token_among_the_sub_protocols_stays_here(proxy: Proxy) -> None:
    protocols = (f"v1.token.{proxy.token}", "v1.tiny")
    async with proxy.connect(protocols=protocols) as ws:
        assert ws.protocol == "v1.tiny"
        await ws.send_str("facts")
        assert proxy.token not in await ws.receive_str()


async def test_many_messages_keep_their_order(proxy: Proxy) -> None:
    async with proxy.connect() as ws:
        for number in range(500):
            await ws.send_str(str(number))
        assert [int(await ws.receive_str()) for _ in range(500)] == list(range(500))


async def test_a_service_without_websockets_says_so(proxy: Proxy) -> None:
    with pytest.raises(WSServerHandshakeError) as caught:
        async with proxy.connect("status?code=404"):
            pass
    assert caught.value.status == 404


async def test_a_handshake_over_plain_http_stays_plain(proxy: Proxy) -> None:
    answer = await proxy.fetch("socket")
    assert answer.status == 400


async def test_the_services_handshake_carries_host_and_path(proxy: Proxy) -> None:
    async with proxy.connect("socket?x=1&_xsrf=nope") as ws:
        await ws.send_str("facts")
        facts = await ws.receive_json()
    assert dict(facts["headers"])["Host"] == proxy.host
    assert facts["target"] == proxy.prefix() + "socket?x=1"


async def test_works_on_a_port(proxy: Proxy, services: FakeServices, tiny_tcp: Endpoint) -> None:
    services.endpoints["tiny"] = tiny_tcp
    async with proxy.connect() as ws:
        await ws.send_str("over tcp")
        assert await ws.receive_str() == "over tcp"


async def test_nobody_listens(proxy: Proxy, services: FakeServices) -> None:
    from jupyter_sessions.server.proxy.websocket import SocketHandler

    services.endpoints["tiny"] = services.endpoints["absent"]
    SocketHandler.patience = 0.2
    try:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            async with proxy.connect():
                pass
    finally:
        del SocketHandler.patience
    assert caught.value.status == 503
