"""The configuration and the code of a manager that runs for long: both may change under it.

What can be applied at once, is; a manager that nobody needs makes way for the new code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_sessions import config
from jupyter_sessions.manager.settings import ManagerSettings, settings_of

log = logging.getLogger("jupyter_sessions")

AT_THE_START = ("cgroups", "pids", "allowed_hosts")
"""Options that a manager reads only when it starts."""
_LOOKS_BETWEEN = 5
"""The code is looked at less often than the configuration: it is some hundred files."""

Stamps = dict[str, tuple[int, int]]


class LiveSettings:
    """The settings in force; `apply` is called with new ones."""

    def __init__(self, settings: ManagerSettings, apply: Callable[[ManagerSettings], None]) -> None:
        self.now = settings
        self.problem = ""
        """Why the files cannot be used as they are, in words for people."""
        self._first = settings
        self._apply = apply
        self._files = config.stamps()
        self._code = self._seen = _code_stamps()
        self._new_code = False
        self._looks = 0

    def look(self) -> None:
        """Apply what has changed in the configuration files; to be called about once a second."""
        self._looks += 1
        if self._looks % _LOOKS_BETWEEN == 0:
            self._look_at_code()
        stamps = config.stamps()
        if stamps == self._files:
            return
        self._files = stamps
        try:
            self.now = settings_of(config.load())
            self._apply(self.now)
        except Exception as error:  # A configuration file is a program.
            self.problem = f"{type(error).__name__}: {error}"
            log.error("the configuration cannot be used, and what held before still does: %s", error)
        else:
            self.problem = ""
            log.info("the configuration has changed")

    def waits_for_next(self) -> list[str]:
        """The options that only the next manager will follow."""
        now, first = self.now.options, self._first.options
        return [name for name in AT_THE_START if now.get(name) != first.get(name)]

    def _look_at_code(self) -> None:
        """See whether the package is another by now, and whole: an installation takes a while."""
        seen, self._seen = self._seen, _code_stamps()
        self._new_code = bool(seen) and seen == self._seen != self._code

    def replaced(self) -> bool:
        """Whether the next manager would be another, by its code or its options."""
        return self._new_code or bool(self.waits_for_next())

    def told(self) -> dict[str, Any]:
        """What is said of it to those who ask."""
        return {
            "options": self.now.options,
            "next": self.waits_for_next(),
            "problem": self.problem,
            "replaced": self._new_code,
        }


def _code_stamps() -> Stamps:
    """When the files of this package were changed, and their sizes; {} if they are gone."""
    folder = Path(__file__).parents[1]
    stamps: Stamps = {}
    for path in folder.rglob("*.py"):
        try:
            status = path.stat()
        except OSError:
            continue
        stamps[str(path)] = status.st_mtime_ns, status.st_size
    return stamps
