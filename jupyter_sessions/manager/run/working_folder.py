"""A session's working folder for uploads, downloads and listings: `/home/work` and nothing outside of it."""

from __future__ import annotations

import os
import posixpath
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

from jupyter_sessions.errors import InvalidRequest, NotFound
from jupyter_sessions.manager.core.mounts import HOME

_STAGE = ".upload-"


class WorkFolder:
    """Finds files by their names in the APIs, and refuses paths that lead outside, by `..` or by a link."""

    def __init__(self, root: str) -> None:
        self.root = Path(os.path.realpath(root))

    def path(self, name: str, field: str) -> Path:
        """Return the real path of an existing or new file. Errors: InvalidRequest."""
        if "\0" in name or not name:
            raise InvalidRequest(f"{name!r} is not a valid path.", field=field)
        try:
            plain = posixpath.normpath(name)
            if plain == HOME or plain.startswith(f"{HOME}/"):
                plain = plain.removeprefix(HOME).lstrip("/") or "."
            found = Path(os.path.realpath(self.root / plain))
            found.is_dir()  # Raises for names that the file system does not allow.
        except (OSError, ValueError) as error:
            raise InvalidRequest(f"'{name[:100]}' is not a valid path: {error}.", field=field) from None
        if found != self.root and self.root not in found.parents:
            raise InvalidRequest(
                f"'{name}' is not in the session's working folder.",
                hint=f"Use a path in {HOME}, or relative to it.",
                field=field,
            )
        return found

    def existing(self, name: str, field: str) -> Path:
        """Return the real path of an existing file. Errors: InvalidRequest, NotFound."""
        found = self.path(name, field)
        if not found.exists():
            raise NotFound(f"There is no file '{name}' in the session.", field=field)
        return found

    def entries(self, folder: Path) -> list[dict[str, Any]]:
        """Return the entries of a folder, sorted by name, without following links. Times are in seconds. Errors: OSError."""
        with os.scandir(folder) as found:
            return [
                _entry(one.name, one.stat(follow_symlinks=False))
                for one in sorted(found, key=attrgetter("name"))
            ]

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """Create a temporary folder inside for uploads. Errors: OSError."""
        made = Path(tempfile.mkdtemp(prefix=_STAGE, dir=self.root))
        try:
            yield made
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def take_in(self, staged: dict[Path, Path]) -> list[str]:
        """Move staged files to their targets, the keys. Return their names in the working folder. Errors: OSError."""
        for target, file in staged.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, target)
        return [str(target.relative_to(self.root)) for target in staged]


def create(path: Path) -> BinaryIO:
    """Create a file and open it for writing. Errors: OSError."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _entry(name: str, status: os.stat_result) -> dict[str, Any]:
    return {
        "mode": stat.filemode(status.st_mode),
        "size": status.st_size,
        "ctime": status.st_ctime,
        "mtime": status.st_mtime,
        "atime": status.st_atime,
        "filename": name.encode(errors="surrogateescape").decode(errors="replace"),
    }
