"""The verbs for files of sessions: upload, download, ls."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path, PurePosixPath

from jupyter_sessions.amounts import human_size
from jupyter_sessions.client import Api
from jupyter_sessions.client.file_trees import (
    LocalFile,
    check_pattern,
    fetch,
    files_below,
    send,
    sent_to,
    summary,
)
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import words
from jupyter_sessions.commands.result import Json, Nothing, Result, Table, plain
from jupyter_sessions.commands.verb import Verb


def _upload_options(verb: ArgumentParser) -> None:
    options.session(verb)
    verb.add_argument("files", nargs="+", metavar="file", help="files and folders to send")
    verb.add_argument("--to", metavar="FOLDER", default="", help="folder of the session to send them to")
    base = verb.add_argument(
        "--base-dir", type=_folder, metavar="FOLDER", help="folder that their names in the session start from"
    )
    options.alias(verb, base, "-b")


def _download_options(verb: ArgumentParser) -> None:
    options.session(verb)
    verb.add_argument(
        "files", nargs="+", metavar="file", help="files, folders or patterns such as 'results/**'"
    )
    verb.add_argument(
        "--dest",
        type=_folder,
        metavar="FOLDER",
        default=Path(),
        help="folder to put them into (default: this one)",
    )


def _folder(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _ls_options(verb: ArgumentParser) -> None:
    options.session(verb)
    verb.add_argument("path", nargs="?", default=".", help="folder (default: the session's working folder)")
    options.json(verb)


async def upload(api: Api, asked: Namespace, face: Face) -> Result:
    """Send files and folders to a session, apart from what .gitignore files leave out."""
    found = [file for given in asked.files for file in files_below(given, asked.base_dir)]
    files = [LocalFile(file.path, str(PurePosixPath(asked.to, file.name)), file.size) for file in found]
    row = await api.find(asked.session)
    face(plain(sent_to(row, await send(api, row, files))))
    return Nothing()


async def download(api: Api, asked: Namespace, face: Face) -> Result:
    """Fetch files and folders of a session."""
    patterns = [check_pattern(pattern) for pattern in asked.files]
    row = await api.find(asked.session)
    for pattern in patterns:
        found = await fetch(api, row, pattern, asked.dest)
        face(
            f"Fetched {summary([LocalFile(path, '', path.stat().st_size) for path in found])} to {asked.dest}."
        )
    return Nothing()


async def ls(api: Api, asked: Namespace, face: Face) -> Result:
    """List a folder of a session."""
    row = await api.find(asked.session)
    entries = await api.ls(row.backend, row.id, asked.path)
    if asked.json:
        return Json(entries)
    rows = [
        [
            plain(entry.name) + "/" * (entry.kind == "folder"),
            human_size(entry.size) if entry.kind == "file" else entry.kind,
            words(entry.modified),
        ]
        for entry in entries
    ]
    return Table(["Name", "Size", "Modified"], rows, empty=f"'{asked.path}' holds no files.")


VERBS = (
    Verb(
        "upload",
        "send files to it",
        "Send files and folders to a session. What .gitignore files leave out is not sent.",
        _upload_options,
        upload,
    ),
    Verb(
        "download",
        "fetch files from it",
        "Fetch files and folders of a session.",
        _download_options,
        download,
    ),
    Verb("ls", "list its files", "List a folder of a session.", _ls_options, ls),
)
