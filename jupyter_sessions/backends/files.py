"""Files that people or other programs change while this runs: read again when they have changed."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Stamp(NamedTuple):
    """A value that changes when a file is written or replaced."""

    device: int
    inode: int
    changed_ns: int
    size: int


def stamp(path: Path) -> Stamp | None:
    """Return the stamp of a file, or None if there is no file. Errors: OSError."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Stamp(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)


def read(path: Path, parse: Callable[[bytes], T]) -> T | None:
    """Return the parsed contents of a file, or None if there is no file. It is parsed again only when it has changed.

    Errors: OSError, and those of `parse`.
    """
    now = stamp(path)
    try:
        found: T | None = None if now is None else _parsed(path, now, parse)
    except FileNotFoundError:
        return None
    return found


@lru_cache(maxsize=64)
def _parsed(path: Path, now: Stamp, parse: Callable[[bytes], Any]) -> Any:
    return parse(path.read_bytes())


def is_private(path: Path) -> bool:
    """Return whether a file belongs to this user and nobody else may read it; on Windows its folder ensures that."""
    if sys.platform == "win32":
        return True
    status = path.lstat()
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_uid == os.getuid()
        and not stat.S_IMODE(status.st_mode) & 0o077
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Have a lock to oneself, of all processes of this machine; there is none on Windows.

    `path` is a file for nothing else, on a disk of this machine. Errors: OSError.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
