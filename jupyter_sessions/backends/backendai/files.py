"""Files of sessions on a Backend.AI manager.

Source: clients 23.9.10 to 26.9.6, managers 23.09 to 26.8. A manager of this package streams files of any size; others
hold each in memory, and take less than 1 MiB up or down.
"""

from __future__ import annotations

import builtins
import io
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from jupyter_sessions.amounts import human_size
from jupyter_sessions.backends.backendai.connection import Reached
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.file_transfer import FileContent, FileEntry, FileKind
from jupyter_sessions.backends.parsing import made_of, understood
from jupyter_sessions.errors import InvalidRequest, NotFound

MOST_BYTES = 1024**2
"""The size of the first file that is too large for a manager other than ours."""
_KINDS: dict[str, FileKind] = {"-": "file", "d": "folder", "l": "link"}
_GET_BEFORE, _QUERY_SINCE = (24, 3), (26, 0)


class ManagerFiles(Reached):
    """The methods of a backend for files."""

    async def upload(
        self, id: str, path: str, content: AsyncIterator[bytes], size: int | None = None
    ) -> None:
        """Store a file in a session. Errors: InvalidRequest for one that is too large for the manager."""
        client = await self.client()
        if not (await client.dialect()).ours:
            whole = await self._whole(path, content, size)
            content, size = _once(whole), len(whole)
        await client.send_file(f"/session/{quote(id)}/upload", path, content, size)

    async def _whole(self, path: str, content: AsyncIterator[bytes], size: int | None) -> bytes:
        """Read a file that the manager takes. Errors: InvalidRequest."""
        found = bytearray()
        if (size or 0) < MOST_BYTES:
            async for chunk in content:
                found += chunk
                if len(found) >= MOST_BYTES:
                    break
        if max(size or 0, len(found)) >= MOST_BYTES:
            raise InvalidRequest(
                f"'{path}' is too large: {self.title} takes files of less than {human_size(MOST_BYTES)}.",
                hint="Put it in a folder that the session mounts.",
                field="path",
            )
        return bytes(found)

    @asynccontextmanager
    async def download(self, id: str, path: str) -> AsyncIterator[FileContent]:
        """Open a file of a session."""
        client = await self.client()
        if (await client.dialect()).ours:
            async with client.file(f"/session/{quote(id)}/download_single", {"file": path}) as content:
                yield content
        else:
            answer = await self._archive(client, f"/session/{quote(id)}/download", path)
            with understood(self.title):
                whole = _only_file(answer, path)
            yield FileContent(_once(whole), len(whole))

    async def _archive(self, client: ManagerClient, where: str, path: str) -> bytes:
        release = (await client.dialect()).release
        if release >= _QUERY_SINCE:
            return await client.content("POST", where, params={"files": path})
        return await client.content("GET" if release < _GET_BEFORE else "POST", where, json={"files": [path]})

    async def ls(self, id: str, path: str = ".") -> builtins.list[FileEntry]:
        """Return the entries of a folder of a session."""
        answer = await (await self.client()).request(
            "GET", f"/session/{quote(id)}/files", json={"path": path}
        )
        with understood(self.title):
            errors, listing = str(answer["errors"] or ""), msgspec.json.decode(answer["files"] or "[]")
        if errors:
            last = errors.strip().splitlines()[-1].rstrip(".")
            raise NotFound(f"The folder '{path}' cannot be listed: {last}.", field="path")
        return await made_of(listing, _entries, builtins.list[FileEntry], self.title)


def _entries(listing: list[dict[str, Any]]) -> list[FileEntry]:
    return sorted(map(_entry, listing), key=lambda entry: entry.name)


def _entry(said: dict[str, Any]) -> FileEntry:
    changed = said.get("mtime")
    return FileEntry(
        name=str(said["filename"]),
        kind=_KINDS.get(str(said["mode"])[:1], "other"),
        size=int(said["size"]),
        modified=datetime.fromtimestamp(changed, UTC) if isinstance(changed, int | float) else None,
    )


def _only_file(answer: bytes, path: str) -> bytes:
    """Return the file in an answer of one part, which is an archive. Errors: InvalidRequest for a folder, others."""
    _, _, part = answer.partition(b"\r\n\r\n")
    try:
        with tarfile.open(fileobj=io.BytesIO(part), mode="r:") as archive:
            first = archive.next()
            # A few bytes can say that a sparse file is as large as they like.
            stored = first and first.isreg() and not first.issparse() and first.size <= len(part)
            source = archive.extractfile(first) if first and stored else None
            if source is None:
                raise InvalidRequest(f"'{path}' is no file.", hint="Name a file.", field="path")
            return source.read()
    except tarfile.TarError as error:
        raise ValueError("not an archive") from error


async def _once(whole: bytes) -> AsyncIterator[bytes]:
    yield whole
