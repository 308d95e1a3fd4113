"""A cell that runs in a session while the notebook goes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from jupyter_sessions.client.cells import CellOutputs


class BackgroundCell:
    """The handle of a cell in the session `ref`. `%session output` shows what the cell has printed."""

    def __init__(self, ref: str, outputs: Future[CellOutputs], interrupt: Callable[[], object]) -> None:
        self.ref = ref
        self._outputs = outputs
        self._interrupt = interrupt

    def done(self) -> bool:
        """Return whether the cell has ended."""
        return self._outputs.done()

    def result(self, timeout: float | None = None) -> CellOutputs:
        """Wait for the end of the cell, at most `timeout` seconds, and return its outputs.

        Errors: CellFailed if the code raised; TimeoutError, and the cell goes on.
        """
        return self._outputs.result(timeout)

    def interrupt(self) -> None:
        """Interrupt the code that runs in the session."""
        if not self.done():
            self._interrupt()

    def __repr__(self) -> str:
        failed = self.done() and self._outputs.exception() is not None
        state = "failed" if failed else "done" if self.done() else "running"
        return f"<Cell in {self.ref}: {state}; `%session output {self.ref}` shows its output>"
