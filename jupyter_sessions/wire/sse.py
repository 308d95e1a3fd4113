"""Server-sent events, for clients and servers: `frame` writes an event, `parse` reads events from lines.

Events look as in Backend.AI: an `event:` line and one `data:` line of JSON each, and the last is named
`server_close`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Generic, TypeVar

import msgspec

from jupyter_sessions.amounts import human_size
from jupyter_sessions.errors import BadAnswer
from jupyter_sessions.wire import untrusted

LINE_BYTES = 1024**2
"""The size limit of an event about sessions."""
KEEP_ALIVE = b": keep-alive\n\n"
KEEP_ALIVE_SECONDS = 8.0
CLOSE = "server_close"

T = TypeVar("T")


class ServerEvent(msgspec.Struct, frozen=True):
    """An event: its name, and its data as JSON text."""

    name: str
    data: str

    def json(self) -> Any:
        """Return the decoded data. Errors: msgspec.DecodeError."""
        return untrusted.decode(self.data)


def frame(name: str, data: object) -> bytes:
    """Return an event as bytes to send."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


class EventTooLarge(BadAnswer):
    """A line or event over the size limit; the message is the reason, as the end of a sentence."""


async def read(pieces: AsyncIterator[bytes], most: int = LINE_BYTES) -> AsyncIterator[ServerEvent]:
    """Yield events of at most `most` bytes from a stream, up to `server_close`. Errors: EventTooLarge."""
    async for event in parse(lines(pieces, most), most):
        yield event


async def lines(pieces: AsyncIterator[bytes], most: int = LINE_BYTES) -> AsyncIterator[str]:
    """Split a stream into lines without their ends. Errors: EventTooLarge."""
    rest = bytearray()
    async for piece in pieces:
        *whole, last = piece.split(b"\n")
        for part in whole:
            yield _line(rest, part, most)
            rest.clear()
        rest += last
        _check_length(len(rest), most)


def _line(rest: bytearray, part: bytes, most: int) -> str:
    _check_length(len(rest) + len(part), most)
    return (bytes(rest) + part).removesuffix(b"\r").decode(errors="replace")


def _check_length(length: int, most: int) -> None:
    if length > most:
        raise EventTooLarge(f"an event of more than {human_size(most)}")


async def parse(lines: AsyncIterator[str], most: int = LINE_BYTES) -> AsyncIterator[ServerEvent]:
    """Parse lines without their ends into events, up to `server_close`. Errors: EventTooLarge."""
    name, data = "message", list[str]()
    length = 0
    async for line in lines:
        length += len(line)
        _check_length(length, most)
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line and data:
            yield ServerEvent(name, "\n".join(data))
            if name == CLOSE:
                return
        if not line:
            name, data, length = "message", [], 0


class Patient(Generic[T]):
    """Waits for the items of a source with timeouts, and loses no item when a timeout expires."""

    def __init__(self, source: AsyncIterator[T]) -> None:
        self._source = source
        self._coming: asyncio.Future[T] | None = None

    async def next(self, seconds: float) -> T | None:
        """Return the next item, or None after `seconds` without one. Errors: StopAsyncIteration at the end."""
        coming = self._ask()
        done, _ = await asyncio.wait({coming}, timeout=seconds)
        if not done:
            return None
        self._coming = None
        return coming.result()

    async def over(self) -> bool:
        """Return whether the source has ended, as far as it says so at once."""
        coming = self._ask()
        await asyncio.sleep(0)
        return coming.done() and not coming.cancelled() and isinstance(coming.exception(), StopAsyncIteration)

    def _ask(self) -> asyncio.Future[T]:
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._source))
        return self._coming

    async def close(self) -> None:
        """Stop waiting for further items."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait({self._coming})
