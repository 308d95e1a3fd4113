"""Send several files or folders in one answer, each as an archive that is built while it is sent.

A thread builds each piece only when the connection has room for it: a client that does not read occupies no thread,
and so does not block other downloads.

Source: clients 23.9.10 to 26.9.6: ``multipart/mixed``, each part an uncompressed tar.
"""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from aiohttp import web

STALL_SECONDS = 60.0
"""The longest time that a client may go without reading."""
_BLOCK = 256 * 1024
_END = b"\0" * 2 * tarfile.BLOCKSIZE
_PACKERS = ThreadPoolExecutor(8, "archive")


async def send_archives(request: web.Request, paths: Sequence[Path]) -> web.StreamResponse:
    """Send the archives; break off if a file turns out to be unreadable, or the client stops reading."""
    boundary = secrets.token_hex(16)
    response = web.StreamResponse(headers={"Content-Type": f"multipart/mixed; boundary={boundary}"})
    await response.prepare(request)
    head = f"--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Encoding: identity\r\n\r\n".encode()
    try:
        for path in paths:
            await response.write(head)
            await _send(response, path)
            await response.write(b"\r\n")
        await response.write(f"--{boundary}--\r\n".encode())
    except (OSError, tarfile.TarError):
        if request.transport is not None:
            request.transport.abort()  # The client must not take the answer for complete.
    return response


async def _send(response: web.StreamResponse, path: Path) -> None:
    """Send one archive. Errors: OSError, tarfile.TarError; TimeoutError if the client does not read."""
    loop = asyncio.get_running_loop()
    pieces = _gathered(_archive(path))
    while piece := await loop.run_in_executor(_PACKERS, next, pieces, b""):
        async with asyncio.timeout(STALL_SECONDS):
            await response.write(piece)


def _gathered(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Join small parts into larger pieces."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= _BLOCK:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def _archive(path: Path) -> Iterator[bytes]:
    """Build the archive of a file or folder. Errors: OSError, tarfile.TarError."""
    length = 0
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as archive:
        for file, name in _files(path):
            if info := archive.gettarinfo(file, name):
                for part in _member(file, info):
                    length += len(part)
                    yield part
    yield _END + b"\0" * (-(length + len(_END)) % tarfile.RECORDSIZE)


def _files(path: Path) -> Iterator[tuple[str, str]]:
    """Yield a file, or a folder and everything in it at any depth, with the names in the archive."""
    left = [(str(path), path.name)]
    while left:
        file, name = left.pop()
        yield file, name
        if os.path.isdir(file) and not os.path.islink(file):
            inside = sorted(os.listdir(file), reverse=True)
            left += [(f"{file}/{one}", f"{name}/{one}") for one in inside]


def _member(file: str, info: tarfile.TarInfo) -> Iterator[bytes]:
    """Build the header of a file and its contents, exactly as many bytes as the header says."""
    if not info.isreg():
        yield info.tobuf(tarfile.PAX_FORMAT, tarfile.ENCODING, "surrogateescape")
        return
    with open(file, "rb") as source:
        yield info.tobuf(tarfile.PAX_FORMAT, tarfile.ENCODING, "surrogateescape")
        left = info.size
        while left:
            block = source.read(min(left, _BLOCK))
            if not block:
                raise tarfile.ReadError(f"{file} has become shorter")
            left -= len(block)
            yield block
    yield b"\0" * (-info.size % tarfile.BLOCKSIZE)
