"""The programs that start sessions' processes, kept where they outlive the environment of whoever started the manager.

A manager serves everybody, and for long: the virtual environment that it came from may be deleted meanwhile.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from pathlib import Path

from jupyter_sessions.wire.files import remove, write_private

log = logging.getLogger("jupyter_sessions")

_NAMES = ("shim.py", "keeper.py", "warm.py")
_PREFIX = "programs-"


class Helpers:
    """Where the programs are, and which Python runs them."""

    def __init__(self) -> None:
        self._folder = Path(__file__).parent
        base = getattr(sys, "_base_executable", None) or sys.executable
        self._pythons = [sys.executable, base, os.path.realpath(sys.executable), os.path.realpath(base)]

    def install(self, state_folder: Path) -> None:
        """Copy the programs to the state folder, and use them from there. On a full disk they stay where they are."""
        programs = {name: (Path(__file__).parent / name).read_bytes() for name in _NAMES}
        digest = hashlib.sha256(b"\0".join(programs.values())).hexdigest()[:8]
        folder = state_folder / f"{_PREFIX}{digest}"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            for name, text in programs.items():
                if not _is(folder / name, text):
                    write_private(folder / name, text)
        except OSError as error:
            log.error("the programs that start sessions cannot be copied: %s", error)
            return
        self._folder = folder
        for old in state_folder.glob(f"{_PREFIX}*"):
            if old != folder:
                remove(old)

    def program(self, name: str) -> str:
        """The path of one of the programs."""
        return str(self._folder / name)

    def python(self, other: str = "") -> str:
        """A Python that is there: the manager's own if it still is, else its base, else an `other` one.

        Errors: FileNotFoundError.
        """
        for path in (*self._pythons, other):
            if path and os.access(path, os.X_OK):
                return path
        raise FileNotFoundError(2, "no Python is left to start it with", sys.executable)


def _is(path: Path, text: bytes) -> bool:
    try:
        return path.read_bytes() == text
    except OSError:
        return False


HELPERS = Helpers()
"""Those of this process."""
