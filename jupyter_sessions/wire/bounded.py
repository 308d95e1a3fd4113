"""Read answers of HTTP servers within a size limit: 3 MB of compressed data can hold 3 GB.

httpx decompresses each piece that it has read as a whole, so a limit on its output would come too late. Here a piece
is decompressed in parts. Source: RFC 9110, section 8.4; zlib's `max_length`.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from jupyter_sessions.amounts import human_size
from jupyter_sessions.errors import BadAnswer

ANSWER_BYTES = 64 * 1024**2
ENCODINGS = "gzip, deflate"
"""The compressions that servers may use."""
_PART = 256 * 1024
_GZIP, _ZLIB, _RAW = 31, 15, -15
_PLAIN = ("", "identity")


class AnswerRefused(BadAnswer, httpx.DecodingError):
    """An answer that was not read to its end; the message is the reason, as the end of a sentence."""

    def __init__(self, message: str, *, request: httpx.Request | None = None) -> None:
        super().__init__(message)
        if request is not None:
            self.request = request


async def read(response: httpx.Response, most: int = ANSWER_BYTES) -> bytes:
    """Read the body of a streamed answer. Errors: AnswerRefused, and those of httpx."""
    body = bytearray()
    async for part in _parts(response):
        body += part
        if len(body) > most:
            raise AnswerRefused(f"more than {human_size(most)}", request=response.request)
    return bytes(body)


async def lines(
    response: httpx.Response, most_line: int, most: int = ANSWER_BYTES
) -> AsyncIterator[list[bytes]]:
    """Yield the lines of a streamed answer as they arrive. Errors: AnswerRefused, and those of httpx."""
    begun, total = b"", 0
    async for part in uncompressed(response):
        total += len(part)
        *whole_ones, begun = (begun + part).split(b"\n")
        if total > most or max(map(len, (*whole_ones, begun))) > most_line:
            raise AnswerRefused(f"more than {human_size(most)}", request=response.request)
        yield whole_ones
    if begun:
        raise AnswerRefused("cut off", request=response.request)


def whole(response: httpx.Response, body: bytes) -> httpx.Response:
    """Return a streamed answer as an answer that has been read."""
    headers = httpx.Headers(
        [
            pair
            for pair in response.headers.raw
            if pair[0].lower() not in (b"content-encoding", b"content-length")
        ]
    )
    extensions: dict[str, Any] = {**response.extensions}
    extensions.pop("network_stream", None)  # The stream is closed by now.
    return httpx.Response(
        response.status_code, headers=headers, content=body, request=response.request, extensions=extensions
    )


def uncompressed(response: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the pieces of an answer that must not be compressed. Errors: AnswerRefused."""
    if _encoding(response) not in _PLAIN:
        raise AnswerRefused("compressed, which was not asked for", request=response.request)
    return response.aiter_raw()


async def _parts(response: httpx.Response) -> AsyncIterator[bytes]:
    encoding = _encoding(response)
    if encoding in _PLAIN:
        async for piece in response.aiter_raw():
            yield piece
        return
    unpack = _Unpack(encoding, response.request)
    async for piece in response.aiter_raw():
        for part in unpack.take(piece):
            yield part
            await asyncio.sleep(0)  # One piece can take seconds to decompress.
    unpack.check_end()


def _encoding(response: httpx.Response) -> str:
    return str(response.headers.get("Content-Encoding", "")).strip().lower()


class _Unpack:
    """Decompresses a body as it arrives."""

    def __init__(self, encoding: str, request: httpx.Request) -> None:
        self._request = request
        self._windows = {"gzip": [_GZIP], "x-gzip": [_GZIP], "deflate": [_ZLIB, _RAW]}.get(encoding, [])
        if not self._windows:
            raise self._refused(f"compressed with '{encoding[:40]}', which was not asked for")
        self._unpack = zlib.decompressobj(self._windows.pop(0))
        self._begun = False

    def take(self, piece: bytes) -> Iterator[bytes]:
        """Decompress a piece into parts of a bounded size. Errors: AnswerRefused."""
        while piece and not self._unpack.eof:
            part = self._part(piece)
            piece = self._unpack.unconsumed_tail
            if part:
                yield part

    def _part(self, piece: bytes) -> bytes:
        try:
            part = self._unpack.decompress(piece, _PART)
        except zlib.error as error:
            if self._begun or not self._windows:
                raise self._refused(f"damaged: {error}") from None
            self._unpack = zlib.decompressobj(self._windows.pop(0))  # Many servers leave out zlib's header.
            return self._part(piece)
        self._begun = True
        return part

    def check_end(self) -> None:
        """Check that the body is complete. Errors: AnswerRefused."""
        if self._begun and not self._unpack.eof:
            raise self._refused("cut off")

    def _refused(self, why: str) -> AnswerRefused:
        return AnswerRefused(why, request=self._request)
