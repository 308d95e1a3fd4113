"""A notebook, as verbs speak to people there.

Verbs run in a thread of their own; what they print, show and ask goes to the kernel's main thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from jupyter_sessions.backends.base import Output
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.live_row import LiveRow
from jupyter_sessions.commands.progress import Progress
from jupyter_sessions.errors import NotSupported


class Question(msgspec.Struct, frozen=True):
    """Something that a person is to type."""

    prompt: str
    secret: bool
    answer: asyncio.Future[str]

    def reply(self, text: str) -> None:
        """Answer the question, from any thread."""
        self.answer.get_loop().call_soon_threadsafe(self._settle, text)

    def _settle(self, text: str) -> None:
        if not self.answer.done():
            self.answer.set_result(text)


class NotebookFace(Face):
    """Sends texts, outputs and questions to the thread that shows them.

    In a `live` notebook outputs can change, unlike in IPython's terminal.
    """

    in_notebook = True

    def __init__(
        self, send: Callable[[object], None], *, can_ask: bool, live: bool, use: Callable[[str], None]
    ) -> None:
        super().__init__(send)
        self._use = use
        self._send = send
        self._can_ask = can_ask
        self._live = live

    def progress(self) -> Progress:
        """Return a row that changes in place, or what prints lines where outputs cannot change."""
        return LiveRow(self.show) if self._live else super().progress()

    def use(self, ref: str) -> None:
        """Let a session be meant by cells that name none."""
        self._use(ref)

    def show(self, output: Output) -> None:
        """Show an output of a cell."""
        self._send(output)

    async def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return what a person types. Errors: NotSupported in a notebook that runs without one."""
        if not self._can_ask:
            raise NotSupported("Nobody can be asked here.", hint="Type the command in a shell instead.")
        question = Question(prompt, secret, asyncio.get_running_loop().create_future())
        self._send(question)
        return await question.answer
