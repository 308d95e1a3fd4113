"""A session's working folder as those see it who upload, download and list: `/home/work`, and nothing beyond."""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from jupyter_sessions.errors import InvalidRequest, NotFound
from jupyter_sessions.manager.core.mounts import HOME

_STAGE = ".upload-"


class WorkFolder:
    """Finds files by what clients call them, and lets nobody out, be it by `..` or by a link."""

    def __init__(self, root: str) -> None:
        self.root = Path(os.path.realpath(root))

    def path(self, name: str, field: str) -> Path:
        """The real path of a file that is or could be there. Errors: InvalidRequest."""
        if "\0" in name or not name:
            raise InvalidRequest(f"{name!r} cannot be a path.", field=field)
        try:
            found = Path(os.path.realpath(self.root / self._relative(name)))
            found.is_dir()  # Raises for what no file system takes.
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"'{name[:100]}' cannot be a path: {error}.", field=field) from None
        if found != self.root and self.root not in found.parents:
            raise InvalidRequest(
                f"'{name}' is not in the session's working folder.",
                hint=f"Name files in {HOME}, or relative to it.",
                field=field,
            )
        return found

    def existing(self, name: str, field: str) -> Path:
        """The same for a file that must be there. Errors: InvalidRequest, NotFound."""
        found = self.path(name, field)
        if not found.exists():
            raise NotFound(f"There is no file '{name}' in the session.", field=field)
        return found

    def _relative(self, name: str) -> str:
        plain = posixpath.normpath(name)
        if plain == HOME or plain.startswith(f"{HOME}/"):
            return plain.removeprefix(HOME).lstrip("/") or "."
        return plain

    def entries(self, folder: Path) -> list[dict[str, Any]]:
        """What a folder holds, by name; links as what they are. Times are in seconds. Errors: OSError."""
        with os.scandir(folder) as found:
            return [_entry(one.name, one.stat(follow_symlinks=False)) for one in sorted(found, key=_name)]

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """A folder in it to collect files in, gone afterwards. Errors: OSError."""
        made = Path(tempfile.mkdtemp(prefix=_STAGE, dir=self.root))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def take_in(self, staged: dict[Path, Path]) -> list[str]:
        """Move files to their targets, the keys; their names in the folder. Errors: OSError."""
        for target, file in staged.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
        return [str(target.relative_to(self.root)) for target in staged]


def create(path: Path) -> BinaryIO:
    """A new file to write to. Errors: OSError."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _entry(name: str, status: os.stat_result) -> dict[str, Any]:
    return {
        "mode": stat.filemode(status.st_mode),
        "size": status.st_size,
        "ctime": status.st_ctime,
        "mtime": status.st_mtime,
        "atime": status.st_atime,
        "filename": name.encode(errors="surrogateescape").decode(errors="replace"),
    }
