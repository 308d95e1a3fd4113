"""The programs that start processes of sessions, copied to where they outlive the manager's environment.

A manager runs for long and serves many clients: the virtual environment that started it may be deleted meanwhile.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from pathlib import Path

from jupyter_sessions.wire.files import remove, write_private

log = logging.getLogger("jupyter_sessions")

_NAMES = ("shim.py", "prestart_shim.py", "preload.py", "service_plugins.py")
_PREFIX = "programs-"


class Helpers:
    """The helper programs and the Python that runs them."""

    def __init__(self) -> None:
        self._programs: dict[str, bytes] = {}
        self._folder = self._installed = Path(__file__).parent / "programs"
        base = getattr(sys, "_base_executable", None) or sys.executable
        self._pythons = [sys.executable, base, os.path.realpath(sys.executable), os.path.realpath(base)]

    def install(self, state_folder: Path) -> None:
        """Copy the programs to the state folder, and use them from there, also when another version is installed.

        The copies of earlier managers are removed.
        """
        self._programs = {name: (self._installed / name).read_bytes() for name in _NAMES}
        digest = hashlib.sha256(b"\0".join(self._programs.values())).hexdigest()[:8]
        self._folder = state_folder / f"{_PREFIX}{digest}"
        if self._copied():
            for old in state_folder.glob(f"{_PREFIX}*"):
                if old != self._folder:
                    remove(old)

    def program(self, name: str) -> str:
        """Return the path of a program: of its copy, or of the original if the disk is full."""
        folder = self._folder if self._copied() else self._installed
        return str(folder / name)

    def _copied(self) -> bool:
        """Create missing copies. Return whether all copies are complete."""
        try:
            if self._programs:
                self._folder.mkdir(mode=0o700, exist_ok=True)
            for name, text in self._programs.items():
                if not _is(self._folder / name, text):
                    write_private(self._folder / name, text)
        except OSError as error:
            log.error("The programs that start sessions cannot be copied: %s", error)
            return False
        return True

    def python(self, other: str = "") -> str:
        """Return a Python that exists: the manager's own, otherwise its base, otherwise `other`.

        Errors: FileNotFoundError.
        """
        for path in (*self._pythons, other):
            if path and os.access(path, os.X_OK):
                return path
        raise FileNotFoundError(2, "no Python is left to start the program", sys.executable)


def _is(path: Path, text: bytes) -> bool:
    try:
        return path.read_bytes() == text
    except OSError:
        return False


HELPERS = Helpers()
"""The helper programs of this process."""
