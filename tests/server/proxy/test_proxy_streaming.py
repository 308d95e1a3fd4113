"""Nothing is gathered on the way: both directions flow, hold each other back and end together."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import Memory, Proxy

MIB = b"\x5a" * (1 << 20)


async def pieces(count: int) -> AsyncIterator[bytes]:
    """A body of so many pieces."""
    for _ in range(count):
        yield MIB


async def test_chunks_arrive_as_chunks(proxy: Proxy) -> None:
    async with proxy.ask("chunks") as answer:
        assert await answer.read() == b"abcdef"
    assert answer.headers["Transfer-Encoding"] == "chunked"


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
async def test_events_arrive_live(proxy: Proxy, accept: str) -> None:
    """The service says the second thing only to who has heard the first."""
    async with proxy.ask("events", headers={"Accept": accept}) as answer:
        assert await answer.content.readuntil(b"\n\n") == b"data: one\n\n"
        await proxy.fetch("next")
        assert await answer.content.readuntil(b"\n\n") == b"data: two\n\n"


async def test_a_client_that_leaves_cancels_the_services_work(proxy: Proxy) -> None:
    async with proxy.ask("events") as answer:
        await answer.content.readuntil(b"\n\n")
    for _ in range(100):
        if "events" in (await proxy.fetch("gone")).json:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the service still works for nobody")


async def test_a_big_download_takes_no_memory(proxy: Proxy, memory: type[Memory]) -> None:
    await proxy.fetch("big?mib=20")
    watch, length = memory(), 0
    async with proxy.ask("big?mib=300") as answer:
        assert answer.headers["Content-Length"] == str(300 << 20)
        async for chunk in answer.content.iter_any():
            length += len(chunk)
            if length % 7 == 0:
                watch.look()
    assert length == 300 << 20
    assert watch.stayed_flat()


async def test_a_slow_reader_holds_the_service_back(proxy: Proxy, memory: type[Memory]) -> None:
    await proxy.fetch("big?mib=20")
    watch = memory()
    async with proxy.ask("big?mib=300") as answer:
        await answer.content.readexactly(1000)
        await asyncio.sleep(1)
        assert watch.stayed_flat()


@pytest.mark.parametrize("framing", ["Content-Length", "Transfer-Encoding"])
async def test_a_big_upload_takes_no_memory(proxy: Proxy, memory: type[Memory], framing: str) -> None:
    count = 600
    headers = {"Content-Length": str(count << 20)} if framing == "Content-Length" else {}
    watch = memory()
    answer = await proxy.fetch("upload", "POST", data=pieces(count), headers=headers)
    digest = hashlib.sha256()
    for _ in range(count):
        digest.update(MIB)
    assert answer.json["length"] == count << 20
    assert answer.json["sha256"] == digest.hexdigest()
    assert answer.json[framing] == headers.get("Content-Length", "chunked")
    assert watch.stayed_flat()


async def test_a_slow_service_holds_the_sender_back(proxy: Proxy) -> None:
    sent = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal sent
        async for piece in pieces(64):
            sent += len(piece)
            yield piece

    asking = asyncio.create_task(proxy.fetch("upload?pause=1", "POST", data=counted()))
    await asyncio.sleep(0.8)
    held = sent
    assert held < 32 << 20
    assert (await asking).json["length"] == 64 << 20 > held


async def test_both_directions_at_once(proxy: Proxy) -> None:
    answer = await proxy.fetch("mirror", "POST", data=pieces(50))
    assert answer.body == MIB * 50


async def test_an_answer_before_the_end_of_the_body(proxy: Proxy) -> None:
    answer = await proxy.fetch("early", "POST", data=pieces(40))
    assert (answer.status, answer.body) == (413, b"too much")


@pytest.mark.parametrize("query", ["", "?length"])
async def test_half_an_answer_is_no_clean_end(proxy: Proxy, query: str) -> None:
    async with proxy.ask("cut" + query) as answer:
        assert await answer.content.readexactly(4) == b"half"
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.content.read()


async def test_a_sender_that_leaves_is_not_taken_for_the_end(proxy: Proxy) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    head = f"POST {proxy.prefix()}upload HTTP/1.1\r\nHost: {proxy.host}\r\nContent-Length: 100\r\n"
    writer.write(f"{head}Authorization: token {proxy.token}\r\n\r\npart".encode())
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await asyncio.sleep(0.2)
    assert (await proxy.fetch()).status == 200


async def test_expect_continue(proxy: Proxy) -> None:
    body = b"x" * 100_000
    answer = await proxy.fetch("upload", "POST", data=body, expect100=True)
    assert answer.json["length"] == len(body)
