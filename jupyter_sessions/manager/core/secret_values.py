"""The values of secret variables of sessions, in memory only.

A later manager reads them from the environment of a session's process. They are lost if there is none.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import psutil

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.runtime.launch import LaunchError

log = logging.getLogger("jupyter_sessions")


class SecretValues:
    """The values of secrets by session."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, str]] = {}

    def put(self, id: str, values: Mapping[str, str]) -> None:
        """Add values of a session."""
        if values:
            self._values[id] = self._values.get(id, {}) | dict(values)

    def of(self, record: Record) -> dict[str, str]:
        """Return the values of a session. Errors: LaunchError if they are lost."""
        values = self._values.get(record.id, {})
        if lost := [name for name in record.secrets if name not in values]:
            raise LaunchError(
                f"The value of {', '.join(lost)} was lost when the session manager was restarted."
            )
        return values

    def recall(self, record: Record) -> None:
        """Read the values from the environment of a session's main process."""
        if not record.secrets or record.process is None:
            return
        try:
            environ = psutil.Process(record.process.child.pid).environ()
        except (psutil.Error, OSError) as error:
            log.warning("the secrets of session %s cannot be read: %s", record.id, type(error).__name__)
            return
        self.put(record.id, {name: environ[name] for name in record.secrets if name in environ})

    def forget(self, id: str) -> None:
        """Forget the values of a session."""
        self._values.pop(id, None)
