"""Server-sent events, both ends: `frame` writes one, `parse` reads a stream of lines.

As Backend.AI speaks them: an `event:` and one `data:` line of JSON each, and `server_close` as the
name of the last event.
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
"""Of one event of a stream that tells of sessions."""
KEEP_ALIVE = b": keep-alive\n\n"
KEEP_ALIVE_SECONDS = 8.0
CLOSE = "server_close"

T = TypeVar("T")


class ServerEvent(msgspec.Struct, frozen=True):
    """One event: its name, and its data as JSON text."""

    name: str
    data: str

    def json(self) -> Any:
        """The decoded data. Errors: msgspec.DecodeError."""
        return untrusted.decode(self.data)


def frame(name: str, data: object) -> bytes:
    """One event as bytes on the wire."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


class EventTooLarge(BadAnswer):
    """A line or an event is longer than is read; the message says so, as the end of a sentence."""


async def read(pieces: AsyncIterator[bytes], most: int = LINE_BYTES) -> AsyncIterator[ServerEvent]:
    """Read events of at most `most` bytes from a stream; stop after `server_close`. Errors: EventTooLarge."""
    async for event in parse(lines(pieces, most), most):
        yield event


async def lines(pieces: AsyncIterator[bytes], most: int = LINE_BYTES) -> AsyncIterator[str]:
    """Divide a stream into lines, and leave out their ends. Errors: EventTooLarge."""
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
    """Make events of lines without their ends; stop after `server_close`. Errors: EventTooLarge."""
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
    """Items of a source, waited for in pieces: no item is lost when one does not come in time."""

    def __init__(self, source: AsyncIterator[T]) -> None:
        self._source = source
        self._coming: asyncio.Future[T] | None = None

    async def next(self, seconds: float) -> T | None:
        """The next item, None if there is none within that time. Errors: StopAsyncIteration at the end."""
        coming = self._ask()
        done, _ = await asyncio.wait({coming}, timeout=seconds)
        if not done:
            return None
        self._coming = None
        return coming.result()

    async def over(self) -> bool:
        """Whether the source is at its end, if it says so at once."""
        coming = self._ask()
        await asyncio.sleep(0)
        return coming.done() and not coming.cancelled() and isinstance(coming.exception(), StopAsyncIteration)

    def _ask(self) -> asyncio.Future[T]:
        if self._coming is None:
            self._coming = asyncio.ensure_future(anext(self._source))
        return self._coming

    async def close(self) -> None:
        """Want no more."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait({self._coming})
