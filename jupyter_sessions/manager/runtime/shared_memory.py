"""Find the files of a session's processes in /dev/shm, and remove those that the processes leave behind.

These files take up the machine's memory, and belong to nobody once the processes have ended: killed processes do not
remove them, nor do resource trackers that are killed as well.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar
from weakref import WeakSet

import psutil

log = logging.getLogger("jupyter_sessions")
_FOLDER = Path("/dev/shm")  # noqa: S108 - we create nothing there
_LOOKS = 3
_NAMED = re.compile(r"[A-Za-z.]+(?:[_.-][A-Za-z]+)*[_.-](\d+)(?:[_.-].*)?")
"""Names that hold their creator's pid, such as joblib_memmapping_folder_123_…, sem.loky-123-…, torch_123_…"""

File = tuple[int, int]


class SharedMemory:
    """The files in /dev/shm that the processes of one member have used."""

    _all: ClassVar[WeakSet[SharedMemory]] = WeakSet()

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder
        self._seen: set[File] = set()
        self._pids: set[int] = set()
        self._since = time.time()
        self._changed = 0
        self._looks = 0
        self._all.add(self)

    def begin(self, since: float | None = None) -> None:
        """Count files created from now, or from `since`, as possibly theirs."""
        self._seen.clear()
        self._pids.clear()
        self._since = time.time() if since is None else since

    def tidy(self, pids: Iterable[int]) -> None:
        """Look for files if the folder has changed lately; cheap enough to call once a second."""
        try:
            changed = self._folder.stat().st_mtime_ns
        except OSError:
            return
        if changed != self._changed:
            self._changed, self._looks = changed, _LOOKS
        if self._looks:
            self._looks -= 1
            self.look(pids)

    def look(self, pids: Iterable[int]) -> None:
        """Record the files that these processes have mapped or open."""
        for pid in pids:
            self._pids.add(pid)
            for path in _used_by(pid, self._folder):
                with suppress(OSError):
                    status = path.lstat()
                    self._seen.add((status.st_dev, status.st_ino))

    def remove(self) -> list[str]:
        """Remove files of the ended processes that nobody has open, and return their names."""
        left = list[Path]()
        with suppress(OSError):
            left = [path for path in self._folder.iterdir() if self._is_ours(path)]
        if left:
            used = {path for pid in psutil.pids() for path in _used_by(pid, self._folder)}
            left = [path for path in left if path not in used]
        for path in left:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
                log.info("Removed %s, which a session left behind.", path)
        self._seen.clear()  # A file of the same inode now belongs to nobody, or to another session.
        self._pids.clear()
        return [path.name for path in left]

    def _is_ours(self, path: Path) -> bool:
        try:
            status = path.lstat()
        except OSError:
            return False
        file = (status.st_dev, status.st_ino)
        if status.st_uid != os.geteuid() or any(file in one._seen for one in self._all if one is not self):
            return False
        named = _NAMED.fullmatch(path.name)
        by_name = named is not None and int(named[1]) in self._pids and status.st_ctime >= self._since
        return by_name or file in self._seen


def _used_by(pid: int, folder: Path) -> Iterator[Path]:
    """Yield the entries of a folder that a process has mapped or open, directly or in a subfolder."""
    start = f"{folder}/"
    for path in (*_mapped(pid, start), *_open(pid, start)):
        yield folder / path.removeprefix(start).partition("/")[0]


def _mapped(pid: int, start: str) -> Iterator[str]:
    with suppress(OSError), open(f"/proc/{pid}/maps", errors="surrogateescape") as file:
        for line in file:
            if start in line and not line.rstrip("\n").endswith(" (deleted)"):
                yield start + line.rstrip("\n").partition(start)[2]


def _open(pid: int, start: str) -> Iterator[str]:
    with suppress(OSError), os.scandir(f"/proc/{pid}/fd") as descriptors:
        for one in descriptors:
            with suppress(OSError):
                path = os.readlink(one.path)
                if path.startswith(start) and not path.endswith(" (deleted)"):
                    yield path
