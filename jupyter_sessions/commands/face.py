"""What a verb needs of the shell or notebook that it was typed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext

from jupyter_sessions.backends.base import Output
from jupyter_sessions.client.loop_thread import Say
from jupyter_sessions.commands.progress import Progress
from jupyter_sessions.errors import NotSupported


class Face:
    """Tells people what a verb does: `face("demo is running")`. By itself it can neither ask nor show pictures."""

    in_shell = False
    in_notebook = False

    def __init__(self, say: Say) -> None:
        self._say = say

    def __call__(self, text: str) -> None:
        """Print a line."""
        self._say(text)

    def complain(self, text: str) -> None:
        """Print a line about something that went wrong."""
        self._say(text)

    def progress(self) -> Progress:
        """Return what tells how far a new session is."""
        return Progress(self._say)

    def use(self, ref: str) -> None:
        """Let a session be meant by cells that name none. Only notebooks have cells."""

    def show(self, output: Output) -> None:
        """Show an output of a cell as it arrives."""
        text = output.content.get("text")
        self._say(str(text if text is not None else output.content.get("data", {}).get("text/plain", "")))

    async def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return what a person types. Errors: NotSupported where nobody can be asked."""
        raise NotSupported("Nobody can be asked here.", hint="Use an option instead.")

    def interrupting(
        self, interrupt: Callable[[], Awaitable[None]], *, again: bool = False
    ) -> AbstractContextManager[None]:
        """Let Ctrl-C call `interrupt`, and cancel the verb only when it is pressed a second time.

        With `again`, each Ctrl-C calls `interrupt`.
        """
        return nullcontext()
