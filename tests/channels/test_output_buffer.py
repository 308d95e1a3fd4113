"""What is held in memory for somebody who may never fetch it."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_sessions.channels.output_buffer import OutputBuffer
from jupyter_sessions.channels.sockets import Message

pytestmark = pytest.mark.asyncio


def message(text: str) -> Message:
    return {"header": {"msg_type": "stream"}, "content": {"name": "stdout", "text": text}}


async def fetched(unread: OutputBuffer) -> list[str]:
    found = []
    while (one := await unread.get()) is not None:
        found.append(one["content"]["text"])
    return found


async def test_order_and_end() -> None:
    unread = OutputBuffer()
    reader = asyncio.create_task(fetched(unread))
    await asyncio.sleep(0)
    for part in "abc":
        unread.put_nowait(message(part))
    assert unread.idle_seconds() == 0
    unread.put_nowait(None)
    assert await reader == ["a", "b", "c"]
    assert unread.empty() and 0 < unread.idle_seconds() < 5


async def test_the_newest_is_kept_and_what_is_missing_is_said() -> None:
    unread = OutputBuffer(most=10_000)
    for number in range(100):
        unread.put_nowait(message(f"{number:1000}"))
    unread.put_nowait(None)
    note, *kept = await fetched(unread)
    assert note == "[97.8 KiB of output were left out here.]\n"
    assert [int(text) for text in kept] == [*range(91, 100)]


async def test_one_that_is_larger_than_all_is_kept() -> None:
    unread = OutputBuffer(most=10)
    unread.put_nowait(message("x" * 1000))
    unread.put_nowait(None)
    assert (await fetched(unread))[-1] == "x" * 1000
