"""Whole folders of files: what goes to a session, and what comes back."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from jupyter_sessions.amounts import human_size
from jupyter_sessions.client.api import Api
from jupyter_sessions.errors import BadAnswer, InvalidRequest, NotFound
from jupyter_sessions.model import SessionInfo

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

HOME = "/home/work"
"""What the working folder of any session may be called."""
_AT_ONCE = 4
_CHUNK_BYTES = 2**20
_IGNORE_FILE = ".gitignore"
_WILD = "*?["
_DEEPEST = 100
"""The most folders within each other."""
_MOST_ENTRIES = 100_000


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine, its name in a session's working folder, and its size in bytes."""

    path: Path
    name: str
    size: int


def files_below(given: str, base: Path | None = None, called: str | None = None) -> list[LocalFile]:
    """Return a file, or the files of a folder that no .gitignore leaves out, sorted by name.

    In the session the file or folder is `called` so; without that, files below the folder `base`, by default the current
    one, keep their place. Errors: NotFound; InvalidRequest for folders nested too deep.
    """
    base = base or Path.cwd()
    start = Path(os.path.abspath(base / os.path.expanduser(given)))
    if start.is_file():
        found: list[Path] = [start]
    elif start.is_dir():
        found = sorted(_walk(start, _rules_above(start)))
        if not found:
            hint = "A .gitignore file may leave them out."
            raise NotFound(f"'{given}' holds no files to send.", hint=hint, field="send")
    else:
        raise NotFound(f"There is no file or folder '{given}'.", hint="Name one that exists.", field="send")
    root = base if start.is_relative_to(base) else start.parent

    def name_of(path: Path) -> str:
        if called is None:
            return path.relative_to(root).as_posix()
        return (PurePosixPath(called) / path.relative_to(start).as_posix()).as_posix()

    return [LocalFile(path, name_of(path), path.stat().st_size) for path in found]


_Rules = list[tuple[Path, "GitIgnoreSpec"]]


def _rules_above(folder: Path) -> _Rules:
    """Return the rules of .gitignore files above a folder, up to the root of its repository."""
    above: list[Path] = []
    for parent in (folder, *folder.parents):
        if parent != folder:
            above.insert(0, parent)
        if (parent / ".git").exists():
            return [rule for parent in above for rule in _rules_in(parent)]
    return []


def _rules_in(folder: Path) -> _Rules:
    from pathspec import GitIgnoreSpec

    try:
        lines = (folder / _IGNORE_FILE).read_text(errors="replace").splitlines()
    except OSError:
        return []
    return [(folder, GitIgnoreSpec.from_lines(lines))]


def _walk(folder: Path, rules: _Rules, depth: int = 1) -> Iterator[Path]:
    if depth > _DEEPEST:
        hint = "Send an archive of them."
        raise InvalidRequest(
            f"More than {_DEEPEST} folders are within each other, up to '{folder.name}'.",
            hint=hint,
            field="send",
        )
    rules = rules + _rules_in(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name == ".git" or _is_ignored(path, is_folder, rules):
                continue
            if is_folder:
                yield from _walk(path, rules, depth + 1)
            elif path.is_file():
                yield path


def _is_ignored(path: Path, is_folder: bool, rules: _Rules) -> bool:
    """Return whether the last rule that speaks of a path leaves it out."""
    for folder, spec in reversed(rules):
        decided = spec.check_file(path.relative_to(folder).as_posix() + "/" * is_folder).include
        if decided is not None:
            return decided
    return False


async def send(api: Api, row: SessionInfo, files: Sequence[LocalFile]) -> list[LocalFile]:
    """Send files to a session, a few at once; return them without those that it has because it works in their folder."""
    files = [file for file in files if not _is_in(row, file.name, file.path)]
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(file: LocalFile) -> None:
        async with turn:
            await api.upload(row.backend, row.id, file.name, _content(file.path), file.size)

    await _together(map(one, files))
    return files


def _is_in(row: SessionInfo, name: str, path: Path) -> bool:
    """Return whether a session's file is this file here."""
    try:
        return row.cwd is not None and os.path.samefile(os.path.join(row.cwd, name), path)
    except OSError:
        return False


async def _content(path: Path) -> AsyncIterator[bytes]:
    source = await asyncio.to_thread(open, path, "rb")
    with source:
        while chunk := await asyncio.to_thread(source.read, _CHUNK_BYTES):
            yield chunk


async def fetch(api: Api, row: SessionInfo, pattern: str, into: Path) -> list[Path]:
    """Fetch the files of a session that match a pattern such as "results/**" into a folder, and return them.

    A folder's name matches all files in it. Links are left out.

    Errors: NotFound if nothing matches; InvalidRequest for what is too much or cannot be written; BadAnswer.
    """
    from pathspec import GitIgnoreSpec

    pattern = pattern.removeprefix(HOME).strip("/")
    matching, start = GitIgnoreSpec.from_lines([f"/{pattern}"]), _fixed_part(pattern)
    names = [name async for name in _names(api, row, start) if matching.match_file(name)]
    if not names:
        raise NotFound(f"No file of '{row.name}' matches '{pattern}'.", field="fetch")
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> None:
        if _is_in(row, name, into / name):
            return
        async with turn:
            await fetch_file(api, row, name, into / name)

    await _together(map(one, names))
    return [into / name for name in names]


async def fetch_file(api: Api, row: SessionInfo, name: str, target: Path) -> None:
    """Fetch one file of a session; it appears once it is complete.

    Errors: InvalidRequest if it cannot be written, for example because there is a folder of its name.
    """
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".fetch-{secrets.token_hex(8)}")
    try:
        with _writing(target):
            file = part.open("xb")
        with file:
            async with api.download(row.backend, row.id, name) as content:
                async for chunk in content.chunks:
                    with _writing(target):
                        await asyncio.to_thread(file.write, chunk)
        with _writing(target):
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidRequest(
            f"'{target}' cannot be written: {error.strerror}.",
            hint="Fetch into another folder.",
            field="fetch",
        ) from error


def _fixed_part(pattern: str) -> str:
    """Return the folder below which all files lie that a pattern can match, "." for the working folder."""
    parts = PurePosixPath(pattern).parts
    wild = next((at for at, part in enumerate(parts) if any(sign in part for sign in _WILD)), len(parts) - 1)
    return "/".join(parts[:wild]) or "."


async def _names(api: Api, row: SessionInfo, start: str) -> AsyncIterator[str]:
    """Yield the names of all files of a session below a folder. Errors: BadAnswer, InvalidRequest for too many."""
    folders, seen = [(start, 1)], 0
    while folders:
        folder, depth = folders.pop()
        if depth > _DEEPEST:
            raise _too_much(f"The session '{row.name}' has more than {_DEEPEST} folders within each other.")
        for entry in await api.ls(row.backend, row.id, folder):
            name = check_name(row.backend, "file", entry.name)
            path = name if folder == "." else f"{folder}/{name}"
            seen += 1
            if entry.kind == "folder":
                folders.append((path, depth + 1))
            elif entry.kind == "file":
                yield path
        if seen > _MOST_ENTRIES:
            raise _too_much(f"The session '{row.name}' has more than {_MOST_ENTRIES:,} files there.")


def _too_much(what: str) -> InvalidRequest:
    return InvalidRequest(what, hint="Fetch an archive of them, or fewer at once.", field="fetch")


def check_name(backend: str, what: str, name: str) -> str:
    """Return the name that a backend gives a file or a session. Errors: BadAnswer if it leads to another folder."""
    if name in ("", ".", "..") or any(sign in name for sign in ("/", os.sep, "\0")):
        raise BadAnswer(f"The backend '{backend}' names a {what} {name!r}, which cannot be.")
    return name


async def _together(work: Iterator[object]) -> None:
    """Do several things at once, and cancel the others when one fails."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in work:
                group.create_task(one)  # type: ignore[arg-type]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


def check_pattern(pattern: str) -> str:
    """Return a pattern of files to fetch. Errors: InvalidRequest for one that leads out of the working folder."""
    leads_out = ".." in PurePosixPath(pattern).parts or "\0" in pattern
    if leads_out or not pattern.removeprefix(HOME).strip("/"):
        hint = "Name files below the session's working folder, for example 'results/**'."
        raise InvalidRequest(f"'{pattern}' cannot be fetched.", hint=hint, field="fetch")
    return pattern


def summary(files: Sequence[LocalFile]) -> str:
    """Return how many files there are, and their size: "3 files (1.2 MiB)"."""
    count = "1 file" if len(files) == 1 else f"{len(files):,} files"
    return f"{count} ({human_size(sum(file.size for file in files))})"


def sent_to(row: SessionInfo, files: Sequence[LocalFile]) -> str:
    """Return a sentence about files that were sent to a session."""
    if not files:
        return f"{row.name} works in the folder of these files, and has them already."
    return f"Sent {summary(files)} to {row.name}."
