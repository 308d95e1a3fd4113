"""An answer of several parts, each the archive of one file or folder, made while it is sent.

Source: clients 23.9.10 to 26.9.6: ``multipart/mixed``, each part an uncompressed tar.
"""

from __future__ import annotations

import asyncio
import secrets
import tarfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, cast

from aiohttp import web

STALL_SECONDS = 60.0
"""For how long a reader may take nothing."""
_BLOCK = 256 * 1024
_PACKERS = ThreadPoolExecutor(8, "archive")
"""Threads of their own: those who read slowly hold up nothing else."""


async def send_archives(request: web.Request, paths: Sequence[Path]) -> web.StreamResponse:
    """Send them; broken off if one cannot be read after all."""
    boundary = secrets.token_hex(16)
    response = web.StreamResponse(headers={"Content-Type": f"multipart/mixed; boundary={boundary}"})
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    head = f"--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Encoding: identity\r\n\r\n".encode()
    try:
        for path in paths:
            await response.write(head)
            await loop.run_in_executor(_PACKERS, _pack, path, _Outlet(response, loop))
            await response.write(b"\r\n")
        await response.write(f"--{boundary}--\r\n".encode())
    except (OSError, tarfile.TarError):
        if request.transport is not None:
            request.transport.abort()  # Who reads must not take it for whole.
    return response


class _Outlet:
    """A file to write to, in a thread, what is sent by the loop, no faster than it goes out."""

    def __init__(self, response: web.StreamResponse, loop: asyncio.AbstractEventLoop) -> None:
        self._response = response
        self._loop = loop

    def write(self, data: bytes) -> int:
        """Send a piece. Errors: ConnectionError; TimeoutError if nobody reads."""
        asyncio.run_coroutine_threadsafe(self._response.write(data), self._loop).result(STALL_SECONDS)
        return len(data)


def _pack(path: Path, outlet: _Outlet) -> None:
    with tarfile.open(fileobj=cast("IO[bytes]", outlet), mode="w|", bufsize=_BLOCK) as archive:
        archive.add(path, arcname=path.name)
