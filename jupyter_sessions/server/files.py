"""Files of sessions over REST: each is passed on while it arrives, in both directions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from jupyter_server.auth.decorator import authorized
from jupyter_server.utils import ensure_async
from tornado import web
from tornado.iostream import StreamClosedError

from jupyter_sessions.backends.file_transfer import FileContent
from jupyter_sessions.errors import InvalidRequest, SessionError
from jupyter_sessions.server.base import BaseHandler
from jupyter_sessions.server.bodies import FileList
from jupyter_sessions.server.operation import PlainText, operation

if TYPE_CHECKING:
    from tornado.http1connection import HTTP1Connection

OCTETS = "application/octet-stream"
_UNLIMITED = 1 << 60
_WAITING = 4
"""The most chunks of 64 KiB that wait for the backend; with more, the sender is held back."""
_PATH = {"path": (str, "The path of a file, relative to the session's working folder.")}
_FOLDER = {"path": (str, 'The path of a folder, relative to the session\'s working folder; "." by default.')}


class FilesHandler(BaseHandler):
    """The files of a session."""

    @web.authenticated
    @authorized
    @operation({200: FileList}, query=_FOLDER)
    async def get(self, backend: str, id: str) -> None:
        """List a folder of a session."""
        path = self.argument("path") or "."
        self.answer(FileList(path, await self.service.ls(backend, id, path)))


@web.stream_request_body
class FileContentHandler(BaseHandler):
    """The content of a file of a session."""

    _waiting: asyncio.Queue[bytes | None]
    _upload: asyncio.Task[None] | None = None

    async def prepare(self) -> None:  # type: ignore[override]
        """Authorize an upload and begin it: Tornado calls `put` only after the whole body has arrived."""
        await super().prepare()
        if self.request.method != "PUT" or self._finished:
            return
        allowed = self.current_user and await ensure_async(
            self.authorizer.is_authorized(self, self.current_user, "write", self.auth_resource)
        )
        if not allowed:
            raise web.HTTPError(403)
        self._connection.set_max_body_size(_UNLIMITED)
        self._waiting = asyncio.Queue(_WAITING)
        length = self.request.headers.get("Content-Length", "")
        size = int(length) if length.isdigit() else None
        where = self.path_kwargs["backend"], self.path_kwargs["id"], self._path
        self._upload = asyncio.create_task(self.service.upload(*where, self._chunks(), size))

    @property
    def _connection(self) -> HTTP1Connection:
        return cast("HTTP1Connection", self.request.connection)

    @property
    def _path(self) -> str:
        path = self.get_query_argument("path", "") or ""
        if not path:
            raise InvalidRequest("The path of the file is missing.", hint="Give ?path=….", field="path")
        return path

    async def _chunks(self) -> AsyncIterator[bytes]:
        while (chunk := await self._waiting.get()) is not None:
            yield chunk

    async def data_received(self, chunk: bytes) -> None:
        """Pass on a chunk, or discard it once the upload has failed; returning late holds the sender back."""
        await self._feed(chunk)

    async def _feed(self, chunk: bytes | None) -> None:
        if self._upload is None:
            return
        feeding = asyncio.ensure_future(self._waiting.put(chunk))
        await asyncio.wait({feeding, self._upload}, return_when=asyncio.FIRST_COMPLETED)
        feeding.cancel()

    def on_connection_close(self) -> None:
        """Cancel the upload, because the client has disconnected."""
        if self._upload is not None:
            self._upload.cancel()
        super().on_connection_close()

    @web.authenticated
    @authorized
    @operation({204: None}, body=PlainText(OCTETS), query=_PATH)
    async def put(self, backend: str, id: str) -> None:
        """Store a file in a session, replacing an earlier one; it appears once it is complete."""
        await self._feed(None)
        if self._upload is not None:
            await self._upload
        self.set_status(204)
        self.finish()

    @web.authenticated
    @authorized
    @operation({200: PlainText(OCTETS)}, query=_PATH)
    async def get(self, backend: str, id: str) -> None:
        """Return the content of a file of a session."""
        path = self._path
        async with self.service.download(backend, id, path) as content:
            self._transforms = []  # The server may be configured to compress.
            name = quote(path.rpartition("/")[2], safe="")
            self.set_header("Content-Type", OCTETS)
            self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{name}")
            if content.size is not None:
                self.set_header("Content-Length", str(content.size))
            await self._send(content)

    async def _send(self, content: FileContent) -> None:
        try:
            async for chunk in content.chunks:
                self.write(chunk)
                await self.flush()
        except StreamClosedError:
            return
        except SessionError as error:
            if not self._headers_written:
                raise
            self.log.warning("A download broke off: %s", error)
            self._connection.close()  # The only way left to signal that the answer is incomplete.
            return
        self.finish(set_content_type=OCTETS)
