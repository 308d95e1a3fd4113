"""Files that go to a new session with its code, and files that come back: `--send` and `--fetch`."""

from __future__ import annotations

import asyncio
import secrets
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from jupyter_sessions.amounts import human_size
from jupyter_sessions.client import Api
from jupyter_sessions.client.file_trees import (
    LocalFile,
    check_name,
    check_pattern,
    fetch,
    files_below,
    send,
    sent_to,
    summary,
)
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import plain
from jupyter_sessions.errors import BadAnswer, InvalidRequest, NotFound, NotRunning, NotSupported
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import Defaults
from jupyter_sessions.wire.job_command import wrapped

_ASK_BYTES = 100 * 1024**2
_LOOK_SECONDS = 1.0
_CODE_BYTES = 16
_CODE_HINT = "`%session logs` shows what it printed."
_LOCAL = ("upload", "download", "ls")


class JobFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one command line; `mark` is the beginning of the names of files that tell a wrapped command.

    `wraps` says whether there is a startup command. With `replicas`, each of the sessions NAME-1 to NAME-N has files of its own.
    """

    files: list[LocalFile] = []
    patterns: list[str] = []
    mark: str = ""
    wraps: bool = False
    replicas: bool = False

    def wrapped(self, command: str | None) -> str | None:
        """Return a startup command that waits for the files, and for the results to be fetched."""
        if not command or not (self.files or self.patterns):
            return command
        return wrapped(command, self.mark, fetches=bool(self.patterns))

    async def exchange(self, api: Api, row: SessionInfo, face: Face) -> int:
        """Send the files to a session that runs, and fetch the results of its startup command; return its exit code."""
        if not (self.files or self.patterns) or row.reused:
            return 0
        await self.send(api, row, face)
        if not self.wraps:
            return 0
        await self._tell(api, row, "sent")
        if not self.patterns:
            return 0
        code = await self._ended(api, row)
        try:
            return await self.fetch(api, row, face) or code
        finally:
            await self._tell(api, row, "fetched")

    async def send(self, api: Api, row: SessionInfo, face: Face) -> None:
        """Send the files to a session."""
        if self.files:
            face(plain(sent_to(row, await send(api, row, self.files))))

    async def fetch(self, api: Api, row: SessionInfo, face: Face) -> int:
        """Fetch the results into the current folder, those of a replica into a folder of its name.

        Return the exit code 1 if there are none. Errors: BadAnswer if a replica's name is no name of a folder.
        """
        into, missing = Path(), 0
        if self.replicas:
            into = Path(plain(check_name(row.backend, "session", row.name)))
        for pattern in self.patterns:
            try:
                found = await fetch(api, row, pattern, into)
            except NotFound as error:
                face.complain(str(error))
                missing = 1
            else:
                files = [LocalFile(path, "", path.stat().st_size) for path in found]
                face(f"Fetched {summary(files)} of {plain(row.name)}.")
        return missing

    async def _tell(self, api: Api, row: SessionInfo, what: str) -> None:
        await api.upload(row.backend, row.id, self._name(row, what), _empty(), 0)

    async def _ended(self, api: Api, row: SessionInfo) -> int:
        """Return the exit code of the wrapped command, once it has ended. Errors: NotRunning, BadAnswer."""
        name = self._name(row, "done")
        while True:
            if name in [entry.name for entry in await api.ls(row.backend, row.id)]:
                async with api.download(row.backend, row.id, name) as content:
                    said = b""
                    async for chunk in content.chunks:
                        said += chunk
                        if len(said) > _CODE_BYTES:
                            raise BadAnswer(f"The exit code of '{row.name}' is no number.", hint=_CODE_HINT)
                said = said.strip()
                if said.isdigit():
                    return int(said)
            if not (await api.get(row.backend, row.id)).live:
                raise NotRunning(f"The session '{row.name}' ended before its files were fetched.")
            await asyncio.sleep(_LOOK_SECONDS)

    def _name(self, row: SessionInfo, what: str) -> str:
        return f"{self.mark}-{what}-{self._replica(row)}"

    def _replica(self, row: SessionInfo) -> str:
        return row.name.rpartition("-")[2] if self.replicas else ""


async def _empty() -> AsyncIterator[bytes]:
    return
    yield


def job_options(verb: ArgumentParser) -> None:
    """Add the options for files that go to a new session, and that come back."""
    verb.add_argument(
        "--send",
        action="append",
        default=[],
        metavar="PATH",
        help="file or folder to send to the session, without what .gitignore leaves out",
    )
    verb.add_argument(
        "--fetch",
        action="append",
        default=[],
        metavar="PATTERN",
        help="files to fetch after the code has run, for example 'results/**'",
    )
    verb.add_argument("--yes", "-y", action="store_true", help="send large files without a question")


async def job_files(
    asked: Namespace, command: str | None, backend: str | None, defaults: Defaults, face: Face
) -> JobFiles:
    """Return what the options ask for, checked before anything is created; `command` is the code that will run.

    Errors: NotSupported for a backend that transfers no files; NotFound; InvalidRequest if somebody declines.
    """
    if not asked.send and not asked.fetch:
        return JobFiles()
    backend = backend or defaults.backend
    can = defaults.capabilities.get(backend)
    if can is not None and not {*_LOCAL} <= {*can}:
        option = "send" if asked.send else "fetch"
        raise NotSupported(
            f"The backend '{backend}' transfers no files.", hint=f"Leave out `--{option}`.", field=option
        )
    if asked.enqueue_only or asked.max_wait:
        raise InvalidRequest(
            "Files are sent and fetched by the command that creates the session.",
            hint="Leave out `--enqueue-only` and `--max-wait`.",
            field="send" if asked.send else "fetch",
        )
    found = {file.name: file for given in asked.send for file in files_below(given)}
    files = [*found.values()]
    if asked.fetch and not command:
        raise InvalidRequest(
            "There is no code after which files could be fetched.",
            hint="`%session download` fetches files of any session that runs.",
            field="fetch",
        )
    if files:
        await _agree(files, asked, face)
    patterns = [check_pattern(pattern) for pattern in asked.fetch]
    return JobFiles(files=files, patterns=patterns, mark=f".jupyter-session-{secrets.token_hex(4)}")


async def _agree(files: list[LocalFile], asked: Namespace, face: Face) -> None:
    """Say how much is sent, and ask if that is much. Errors: InvalidRequest if it is not to be sent."""
    face(f"Sending {summary(files)}.")
    if sum(file.size for file in files) <= _ASK_BYTES or asked.yes:
        return
    try:
        answer = await face.ask(f"Send more than {human_size(_ASK_BYTES)}? [y/N] ")
    except (EOFError, NotSupported):
        answer = ""
    if answer.strip().lower() not in ("y", "yes"):
        hint = "`--yes` sends them. A .gitignore file leaves files out."
        raise InvalidRequest("Nothing was sent, and no session was created.", hint=hint, field="send")
