"""Upload, download and list files of a session's working folder.

Source: clients 23.9.10 to 26.9.6, managers 23.09 to 26.8, whose limits (20 files of 1 MiB up, 5 down) come from their
storage; the limits of this manager are below.
"""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import unquote

import msgspec
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from jupyter_sessions.amounts import human_size
from jupyter_sessions.errors import InvalidRequest, NotEnough
from jupyter_sessions.manager.api.archive import send_archives
from jupyter_sessions.manager.api.runs import count
from jupyter_sessions.manager.api.session import SESSIONS, answer, body_of, find, find_any
from jupyter_sessions.manager.core.mounts import HOME
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.run.supervisor import SessionSupervisor
from jupyter_sessions.manager.run.working_folder import WorkFolder, create

FILES_MOST = 1000
FOLDERS_MOST = 100
FILE_BYTES = 1024**3
_CHUNK = 256 * 1024
_FULL = (errno.ENOSPC, errno.EDQUOT)


async def upload(request: web.Request) -> web.Response:
    """Answer POST /session/{ref}/upload: store the files of a multipart form, named relative to the working folder.

    No file appears before all of them have arrived.
    """
    supervisor = _running(request)
    folder = WorkFolder(supervisor.record.launch.cwd)
    if not request.content_type.startswith("multipart/"):
        raise InvalidRequest("The request must be a multipart form.", hint="Send the files as fields 'src'.")
    with _said(), folder.stage() as stage:
        staged = {target: file async for file, target in _received(request, folder, stage)}
        supervisor.programs.uploaded = folder.take_in(staged)
    count(request, supervisor.record)
    return web.Response(status=204)


def _running(request: web.Request) -> SessionSupervisor:
    """Return the supervisor of a session that runs, also of a batch session, which has no kernel.

    Errors: SessionNotFound, Ambiguous, NotRunning.
    """
    supervisor = request.app[SESSIONS].supervisor(find(request))
    supervisor.check_running()
    return supervisor


def _kept(request: web.Request) -> Record:
    """Return a session that runs, or that has ended: its files stay. Errors: SessionNotFound, Ambiguous, NotRunning."""
    record = find_any(request)
    if record.live:
        _running(request)
    return record


def _count(request: web.Request, record: Record) -> None:
    """Count a request that is not refused as a use of a session that runs."""
    if record.live:
        count(request, record)


async def _received(
    request: web.Request, folder: WorkFolder, stage: Path
) -> AsyncIterator[tuple[Path, Path]]:
    """Yield each stored file and its destination. Errors: InvalidRequest, OSError."""
    try:
        reader = await request.multipart()
        count = 0
        while (part := await reader.next()) is not None:
            part = cast("BodyPartReader", part)
            if not isinstance(part, BodyPartReader) or not part.filename:
                continue  # A form field other than a file.
            count += 1
            if count > FILES_MOST:
                raise InvalidRequest(
                    f"More than {FILES_MOST} files are sent.", hint="Send them in parts.", field="src"
                )
            name = _name(part.filename)
            target = folder.path(name, "src")
            if target.is_dir():
                raise InvalidRequest(f"'{name}' is a folder in the session.", field="src")
            yield await _store(part, stage / str(count)), target
    except (HttpProcessingError, ValueError, AssertionError, RuntimeError) as error:
        why = " ".join(str(error).split()) or "it is cut off"
        raise InvalidRequest(f"The form cannot be read: {why[:200]}.") from None


def _name(sent: str) -> str:
    """Return the name that the sender meant.

    aiohttp's clients write "/" as "%2F", and its server removes the first slash.
    """
    name = unquote(sent)
    if name.count("/") > FOLDERS_MOST:
        raise InvalidRequest(
            f"'{name[:60]}…' is below more than {FOLDERS_MOST} folders.",
            hint="Send it as an archive.",
            field="src",
        )
    return f"/{name}" if f"/{name}".startswith(f"{HOME}/") else name


async def _store(part: BodyPartReader, path: Path) -> Path:
    size = 0
    with create(path) as file:
        while chunk := await part.read_chunk(_CHUNK):
            size += len(chunk)
            if size > FILE_BYTES:
                limit = human_size(FILE_BYTES)
                raise InvalidRequest(
                    f"'{part.filename}' is larger than {limit}.", hint="Send it in parts.", field="src"
                )
            file.write(chunk)
    return path


async def download(request: web.Request) -> web.StreamResponse:
    """Answer GET or POST /session/{ref}/download: each file or folder as an archive, in one multipart answer."""
    record = _kept(request)
    folder = WorkFolder(record.launch.cwd)
    names = request.query.getall("files", []) or (await body_of(request)).get("files")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidRequest(
            "The value of 'files' must be a list of names.", hint='Send {"files": ["a.txt"]}.', field="files"
        )
    if len(names) > FILES_MOST:
        raise InvalidRequest(f"More than {FILES_MOST} files are named.", hint="Name a folder.", field="files")
    paths = [folder.existing(name, "files") for name in names]
    _count(request, record)
    return await send_archives(request, paths)


async def download_single(request: web.Request) -> web.StreamResponse:
    """Answer GET or POST /session/{ref}/download_single: the bytes of one file."""
    record = _kept(request)
    folder = WorkFolder(record.launch.cwd)
    body = {} if request.query.get("file") else await body_of(request)
    name = str(request.query.get("file") or body.get("file") or "")
    path = folder.existing(name, "file")
    if not path.is_file():
        raise InvalidRequest(f"'{name}' is no file.", hint="Folders are for download.", field="file")
    if not os.access(path, os.R_OK):
        raise InvalidRequest(f"The file '{name}' cannot be read.", field="file")
    _count(request, record)
    return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})


async def files(request: web.Request) -> web.Response:
    """Answer GET /session/{ref}/files: the contents of a folder; `files` is JSON text."""
    record = _kept(request)
    folder = WorkFolder(record.launch.cwd)
    body = {} if request.query.get("path") else await body_of(request)
    path = folder.path(str(request.query.get("path") or body.get("path") or "."), "path")
    _count(request, record)
    shown = str(path).encode(errors="replace").decode()
    try:
        entries, errors = folder.entries(path), ""
    except OSError as error:
        entries, errors = [], f"{shown}: {error.strerror}"
    listing = msgspec.json.encode(entries).decode()
    return answer({"files": listing, "errors": errors, "abspath": shown})


@contextmanager
def _said() -> Iterator[None]:
    """Turn errors of the file system into errors for people."""
    try:
        yield
    except OSError as error:
        if isinstance(error, ConnectionError):
            raise
        why = error.strerror or str(error)
        if error.errno in _FULL:
            raise NotEnough(
                f"The files find no room: {why}.", hint="Remove some others.", field="src"
            ) from None
        raise InvalidRequest(f"The files cannot be stored: {why}.", field="src") from None
