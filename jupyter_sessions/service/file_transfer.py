"""Files of sessions on all backends."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.file_transfer import FileContent, FileEntry, exactly
from jupyter_sessions.service.deadlines import GET_SECONDS, follow


class FileService(Protocol):
    """The operations of `SessionService` for files; names are relative to a session's working folder."""

    def backend(self, name: str | None = None) -> Backend:
        """Return a backend by name."""
        ...

    async def _act(self, place: Backend, id: str, work: Awaitable[Any], seconds: float) -> Any: ...

    async def upload(
        self, backend: str, id: str, path: str, content: AsyncIterator[bytes], size: int | None = None
    ) -> None:
        """Store a file in a session; see `FileTransfer.upload`.

        Errors: InvalidRequest if `content` yields something else than `size` bytes.
        """
        place = self.backend(backend)
        if size is not None:
            content = exactly(size, path, content)
        await self._act(place, id, place.upload(id, path, content, size), 0)

    @asynccontextmanager
    async def download(self, backend: str, id: str, path: str) -> AsyncIterator[FileContent]:
        """Open a file of a session."""
        place = self.backend(backend)
        async with AsyncExitStack() as stack:
            opened = stack.enter_async_context(place.download(id, path))
            content: FileContent = await self._act(place, id, opened, GET_SECONDS)
            yield FileContent(follow(place, content.chunks), content.size)

    async def ls(self, backend: str, id: str, path: str = ".") -> builtins.list[FileEntry]:
        """Return the entries of a folder of a session, sorted by name."""
        place = self.backend(backend)
        found: builtins.list[FileEntry] = await self._act(place, id, place.ls(id, path), GET_SECONDS)
        return found
