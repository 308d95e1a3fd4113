"""Files of sessions: what backends implement to receive, send and list them.

Names are relative to the session's working folder.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal

import msgspec

from jupyter_sessions.errors import InvalidRequest, NotSupported

FileKind = Literal["file", "folder", "link", "other"]


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a folder; `size` is in bytes."""

    name: str
    kind: FileKind
    size: int
    modified: datetime | None = None


@dataclass(frozen=True)
class FileContent:
    """The content of a file, which is read while it is consumed; `size` is in bytes, None if it is not known yet."""

    chunks: AsyncIterator[bytes]
    size: int | None


class FileTransfer:
    """The optional methods of a backend for files. Each keeps only a few chunks of a file in memory."""

    name: str
    where_files_are: ClassVar[str] = ""
    """What people do instead on a backend that transfers no files, as a sentence."""

    async def upload(
        self, id: str, path: str, content: AsyncIterator[bytes], size: int | None = None
    ) -> None:
        """Store a file in a session, replacing an earlier one, and make the folders above it.

        The file appears once it is complete. `size`, in bytes, is how much `content` yields, if that is known.
        """
        raise self._without_files("send files to sessions")

    def download(self, id: str, path: str) -> AbstractAsyncContextManager[FileContent]:
        """Open a file of a session. Errors: NotFound, InvalidRequest for a folder."""
        raise self._without_files("fetch files of sessions")

    async def ls(self, id: str, path: str = ".") -> builtins.list[FileEntry]:
        """Return the entries of a folder of a session, sorted by name. Errors: NotFound."""
        raise self._without_files("list files of sessions")

    def _without_files(self, what: str) -> NotSupported:
        hint = self.where_files_are or "Use a backend that can."
        return NotSupported(f"The backend '{self.name}' cannot {what}.", hint=hint)


async def exactly(size: int, path: str, content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the content of a file as long as it has so many bytes. Errors: InvalidRequest."""
    left = size
    async for chunk in content:
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise InvalidRequest(
            f"The size of '{path}' changed while it was sent.", hint="Send it again.", field="path"
        )
