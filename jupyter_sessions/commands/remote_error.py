"""The error that code raised in its session, with the traceback from there."""

from __future__ import annotations

from typing import Any

from jupyter_sessions.errors import CellFailed

_INTERRUPTED = 130


class RemoteError(CellFailed):
    """An exception in a session, shown with the traceback from there."""

    def __init__(self, reply: dict[str, Any]) -> None:
        self.ename = str(reply.get("ename", "Error"))
        self.evalue = str(reply.get("evalue", ""))
        self.lines = [str(line) for line in reply.get("traceback") or [f"{self.ename}: {self.evalue}"]]
        super().__init__(f"{self.ename}: {self.evalue}")

    @property
    def exit_code(self) -> int:
        """The exit code of a program that ends with this exception."""
        if self.ename == "SystemExit":
            return (
                int(self.evalue) & 0xFF if self.evalue.lstrip("-").isdecimal() else int(self.evalue != "None")
            )
        return _INTERRUPTED if self.ename == "KeyboardInterrupt" else 1

    def _render_traceback_(self) -> list[str]:
        return self.lines
