"""Follow changes of the configuration and the code while a manager runs.

Most options apply at once. An unused manager ends after a change of the code, so that the next one runs the new code.
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
_CODE_CHECKS = 5
"""The code is checked less often than the configuration, because it consists of hundreds of files."""

Stamps = dict[str, tuple[int, int]]


class LiveSettings:
    """The current settings; `apply` is called with new ones."""

    def __init__(self, settings: ManagerSettings, apply: Callable[[ManagerSettings], None]) -> None:
        self.now = settings
        self.problem = ""
        """Why the configuration files cannot be used, in words for people."""
        self._first = settings
        self._apply = apply
        self._files = config.stamps()
        self._code = self._seen = _code_stamps()
        self._new_code = False
        self._checks = 0

    def check(self) -> None:
        """Apply changes of the configuration files. Call it about once a second."""
        self._checks += 1
        if self._checks % _CODE_CHECKS == 0:
            # Wait until the code is stable, as an installation takes time.
            seen, self._seen = self._seen, _code_stamps()
            self._new_code = bool(seen) and seen == self._seen != self._code
        stamps = config.stamps()
        if stamps == self._files:
            return
        self._files = stamps
        try:
            self.now = settings_of(config.load())
            self._apply(self.now)
        except Exception as error:  # A configuration file is a program.
            self.problem = f"{type(error).__name__}: {error}"
            log.error("the configuration cannot be used, so the earlier one stays in force: %s", error)
        else:
            self.problem = ""
            log.info("the configuration has changed")

    def waits_for_next(self) -> list[str]:
        """Return the changed options that only apply to the next manager."""
        now, first = self.now.options, self._first.options
        return [name for name in AT_THE_START if now.get(name) != first.get(name)]

    def replaced(self) -> bool:
        """Return whether the next manager would have other code or options."""
        return self._new_code or bool(self.waits_for_next())

    def describe(self) -> dict[str, Any]:
        """Return the settings and their state for clients."""
        return {
            "options": self.now.options,
            "next": self.waits_for_next(),
            "problem": self.problem,
            "replaced": self._new_code,
        }


def _code_stamps() -> Stamps:
    """Return time of change and size of the files of this package, or {} if they are gone."""
    folder = Path(__file__).parents[1]
    stamps: Stamps = {}
    for path in folder.rglob("*.py"):
        try:
            status = path.stat()
        except OSError:
            continue
        stamps[str(path)] = status.st_mtime_ns, status.st_size
    return stamps
