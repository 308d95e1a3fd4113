"""Read and write our own small files: each is written in one step, and a damaged file is an error like a missing one.

A power loss leaves files empty or full of zeros, and people may put anything in their place.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import msgspec

T = TypeVar("T")

MOST_BYTES = 64 * 1024**2
_LEAST_ROOM = 64 * 1024


def read(path: Path, most: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file. Errors: OSError, which names the file if it is damaged."""
    # Without O_NONBLOCK, opening a named pipe would wait for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        if status.st_size > most:
            raise OSError(f"{path} is larger than {most} bytes")
        return file.read(most)


def load(path: Path, type: type[T], most: int = MOST_BYTES) -> T:
    """Return the value in a JSON file. Errors: OSError, which names the file if it is damaged."""
    data = read(path, most)
    try:
        return msgspec.json.decode(data, type=type)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        why = "it is empty" if not data else str(error)
        raise OSError(f"{path} is damaged: {why}") from error


def write_private(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Write a 0600 file in one step: readers see either the old content or the new.

    A folder at this path is removed. A `durable` file is on the disk on return, which takes some milliseconds: use
    this for what must survive a power loss. Errors: OSError.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(descriptor)
        _replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if durable:
        _sync_folder(path.parent)


def _replace(new: str, path: Path) -> None:
    try:
        os.replace(new, path)
    except (IsADirectoryError, PermissionError):  # macOS raises the latter.
        if not path.is_dir():
            raise
        remove(path)
        os.replace(new, path)


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # Not every file system can sync folders.
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def mount_of(path: Path) -> Path:
    """Return the mount point of the file system that holds a path."""
    return next((one for one in (path, *path.parents) if one.is_mount()), path)


def is_full(folder: Path) -> bool:
    """Return whether the file system of a folder has no room left for a file of a few KiB."""
    try:
        status = os.statvfs(folder)
    except (OSError, AttributeError):
        return False
    return status.f_bavail * status.f_frsize < _LEAST_ROOM or (status.f_files > 0 and status.f_favail < 1)


def remove(path: Path) -> None:
    """Remove whatever is at a path, as far as possible, without following links."""
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            _remove_folder(path)
        else:
            path.unlink(missing_ok=True)


def _remove_folder(path: Path) -> None:
    try:
        shutil.rmtree(path, ignore_errors=True)
    except RecursionError:  # Programs can nest folders arbitrarily deep.
        subprocess.run(["rm", "-rf", "--", path], stderr=subprocess.DEVNULL, check=False)
