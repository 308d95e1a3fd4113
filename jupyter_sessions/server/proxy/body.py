"""Pass a request body from Tornado, which pushes, to aiohttp, which pulls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp.payload import Payload

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

# The most waiting chunks of 64 KiB; with more, the sender is held back.
_WAITING = 4


class StreamedBody(Payload):
    """A bounded queue of chunks that can be sent once."""

    def __init__(self) -> None:
        super().__init__(None)
        self._chunks: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)
        self._abandoned = False

    async def feed(self, chunk: bytes | None) -> None:
        """Add a chunk, or None for the end; wait while the service is slower than the sender."""
        if not self._abandoned:
            await self._chunks.put(chunk)

    def abandon(self) -> None:
        """Discard all chunks, now and later, because nobody reads them."""
        self._abandoned = True
        while not self._chunks.empty():
            self._chunks.get_nowait()

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send all chunks."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Send all chunks; `content_length` was checked by Tornado's parser."""
        if self._consumed:
            raise RuntimeError("A streamed body cannot be sent twice.")
        self._consumed = True
        while (chunk := await self._chunks.get()) is not None:
            await writer.write(chunk)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Raise TypeError: the body is never held as a whole."""
        raise TypeError("A streamed body has no text.")
