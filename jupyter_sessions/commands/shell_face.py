"""A shell, as verbs speak to people there."""

from __future__ import annotations

import asyncio
import getpass
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.terminal import printable, write
from jupyter_sessions.errors import SessionError

_MAGIC, _PROGRAM = "%session", "jupyter session"


class ShellFace(Face):
    """Prints to the terminal, and asks there."""

    in_shell = True

    def __init__(self) -> None:
        super().__init__(lambda text: write(self.in_shells_words(text), sys.stdout))

    def complain(self, text: str) -> None:
        """Print a line on stderr."""
        write(self.in_shells_words(text), sys.stderr)

    @staticmethod
    def in_shells_words(text: str) -> str:
        """Return a text in which commands are those of a shell."""
        return text.replace(_MAGIC, _PROGRAM)

    async def ask(self, prompt: str, *, secret: bool = False) -> str:
        """Return what a person types, unseen if it is secret, or a line of stdin if nobody can type.

        Errors: EOFError at the end of the input.
        """
        if sys.stdin.isatty():
            shown = printable(prompt, sys.stdout.encoding)
            with _same_terminal():
                return await _in_thread(lambda: getpass.getpass(shown) if secret else input(shown))
        line = await _in_thread(sys.stdin.readline)
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

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
