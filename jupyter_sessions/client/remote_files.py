"""Files of sessions through the extension of a Jupyter server."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from jupyter_sessions.backends.file_transfer import FileContent, FileEntry, exactly
from jupyter_sessions.client.streams import lost, refused
from jupyter_sessions.wire import bounded, untrusted
from jupyter_sessions.wire.log_redaction import QuietClient


class RemoteFiles:
    """The operations of `FileService`, performed by a Jupyter server."""

    _http: QuietClient

    async def upload(
        self, backend: str, id: str, path: str, content: AsyncIterator[bytes], size: int | None = None
    ) -> None:
        """Store a file in a session; see `FileService.upload`."""
        headers = {}
        if size is not None:
            content, headers = exactly(size, path, content), {"Content-Length": str(size)}
        where = _path(backend, id) + "/content"
        async with self._open("PUT", where, path, content=content, headers=headers):
            pass

    @asynccontextmanager
    async def download(self, backend: str, id: str, path: str) -> AsyncIterator[FileContent]:
        """Open a file of a session."""
        headers = {"Accept-Encoding": "identity"}
        async with self._open("GET", _path(backend, id) + "/content", path, headers=headers) as response:
            length = response.headers.get("Content-Length", "")
            yield FileContent(_pieces(response), int(length) if length.isdigit() else None)

    async def ls(self, backend: str, id: str, path: str = ".") -> builtins.list[FileEntry]:
        """Return the entries of a folder of a session, sorted by name."""
        async with self._open("GET", _path(backend, id), path) as response:
            answer = untrusted.decode(await bounded.read(response))
        return msgspec.convert(answer["files"], builtins.list[FileEntry])

    @asynccontextmanager
    async def _open(
        self, method: str, where: str, path: str, **options: Any
    ) -> AsyncIterator[httpx.Response]:
        """Open an answer, which is read as it is consumed. Errors: BackendUnavailable, and what the server reports."""
        request = self._http.build_request(method, where, params={"path": path}, **options)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise lost(error) from error
        try:
            if not response.is_success:
                raise refused(response.status_code, await bounded.read(response))
            yield response
        finally:
            await response.aclose()


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in bounded.uncompressed(response):
            yield piece
    except httpx.TransportError as error:
        raise lost(error) from error


def _path(backend: str, id: str) -> str:
    return f"/sessions/{quote(backend, safe='')}/{quote(id, safe='')}/files"
