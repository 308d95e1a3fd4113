"""Versions of this package: the running one, the installed one, and which of two is later."""

from __future__ import annotations

import re
from pathlib import Path

from jupyter_sessions._version import __version__

_FILE = Path(__file__).parents[1] / "_version.py"
_LINE = re.compile(r'^__version__ = "([^"]+)"', re.MULTILINE)


def installed() -> str:
    """Return the version that a new process would run; the running version if the package is gone."""
    try:
        found = _LINE.search(_FILE.read_text())
    except (OSError, ValueError):
        return __version__
    return found[1] if found else __version__


def is_earlier(one: str, other: str) -> bool:
    """Return whether a version comes before another; False if either is not a version."""
    from packaging.version import InvalidVersion, Version  # Few processes ever compare versions.

    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return False
