"""A shell, as verbs speak to people there."""

from __future__ import annotations

import asyncio
import getpass
import os
import re
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from jupyter_sessions.backends.base import Output
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.terminal import in_color, printable, write
from jupyter_sessions.errors import SessionError

_MAGIC, _PROGRAM = re.compile(r"(?<!%)%session\b"), "jupyter session"
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_READ_BYTES = 2**16


class ShellFace(Face):
    """Prints to the terminal, and asks there."""

    in_shell = True

    def __init__(self) -> None:
        super().__init__(lambda text: write(self.in_shells_words(text), sys.stdout))
        self._input = _Lines()

    def complain(self, text: str) -> None:
        """Print a line on stderr."""
        write(self.in_shells_words(text), sys.stderr)

    @staticmethod
    def in_shells_words(text: str) -> str:
        """Return a text in which commands are those of a shell."""
        return _MAGIC.sub(_PROGRAM, text)

    def show(self, output: Output) -> None:
        """Write what a cell prints to stdout or stderr, and of pictures and the like what they say as text."""
        content = output.content
        if output.kind == "stream":
            write(content["text"], sys.stderr if content["name"] == "stderr" else sys.stdout, end="")
        elif text := (content.get("data") or {}).get("text/plain"):
            write(str(text), sys.stdout)

    def show_traceback(self, lines: Sequence[str]) -> None:
        """Write the traceback of an error in a session to stderr."""
        text = "\n".join(lines)
        write(text if in_color(sys.stderr) else _COLOR.sub("", text), sys.stderr)

    async def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return what a person types, unseen if it is secret, or a line of stdin if nobody can type.

        Errors: EOFError at the end of the input.
        """
        shown = printable(prompt, sys.stdout.encoding)
        if secret and sys.stdin.isatty():
            with _same_terminal():
                return await _in_thread(lambda: getpass.getpass(shown))
        if sys.stdin.isatty():
            write(shown, sys.stdout, end="")
        return await _in_thread(self._input.line)

    @contextmanager
    def interrupting(
        self, interrupt: Callable[[], Awaitable[None]], *, again: bool = False
    ) -> Iterator[None]:
        """Let Ctrl-C call `interrupt`, and cancel the verb when it is pressed a second time; see `Face`."""
        loop, verb, tasks = asyncio.get_running_loop(), asyncio.current_task(), set[asyncio.Task[None]]()

        async def once() -> None:
            try:
                await interrupt()
            except SessionError as error:
                self.complain(str(error))

        def pressed() -> None:
            if tasks and not again and verb is not None:
                verb.cancel()
            else:
                tasks.add(asyncio.create_task(once()))

        loop.add_signal_handler(signal.SIGINT, pressed)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)


class _Lines:
    """The lines of stdin, read past Python's own buffer: its lock, held at the end of the program, is a fatal error."""

    def __init__(self) -> None:
        self._begun = b""

    def line(self) -> str:
        """Return the next line without its end. Errors: EOFError."""
        while b"\n" not in self._begun:
            more = os.read(sys.stdin.fileno(), _READ_BYTES)
            if not more and not self._begun:
                raise EOFError
            self._begun += more or b"\n"
        line, _, self._begun = self._begun.partition(b"\n")
        return line.decode(sys.stdin.encoding or "utf-8", "replace").removesuffix("\r")


@contextmanager
def _same_terminal() -> Iterator[None]:
    """Let the terminal be as before afterwards: who is interrupted while typing a password leaves it without echo."""
    try:
        import termios
    except ImportError:  # On Windows.
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


async def _in_thread(read: Callable[[], str]) -> str:
    """Return what a blocking function reads. Nobody waits for its thread when the program ends."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def work() -> None:
        try:
            text = read()
        except BaseException as error:
            loop.call_soon_threadsafe(_settle, answer, error)
        else:
            loop.call_soon_threadsafe(_settle, answer, text)

    threading.Thread(target=work, daemon=True).start()
    return await answer


def _settle(answer: asyncio.Future[str], found: str | BaseException) -> None:
    if answer.done():
        return
    if isinstance(found, str):
        answer.set_result(found)
    else:
        answer.set_exception(found)
