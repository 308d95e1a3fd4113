"""``jupyter session …``: the same verbs as `%session`, for the shell."""

from __future__ import annotations

import asyncio
import shutil
import sys
from argparse import Namespace
from collections.abc import Sequence

import jupyter_sessions.fast_imports  # noqa: F401 - before all that imports httpx
from jupyter_sessions.client import open_api
from jupyter_sessions.commands import parse, perform
from jupyter_sessions.commands.grammar import Help
from jupyter_sessions.commands.result import Json, Result, Text, plain
from jupyter_sessions.commands.shell_face import ShellFace
from jupyter_sessions.commands.terminal import OutputClosed, in_color, write
from jupyter_sessions.errors import CellFailed, InvalidRequest, SessionError

FAILED, WRONG, INTERRUPTED = 1, 2, 130
UNREAD = 141  # As a shell reports a program that SIGPIPE ended.
_PROG = "jupyter session"
_WIDTH = 1000  # A pipe has room for all columns.


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line asks.

    The exit code is 0 if that was done, 1 if not, 2 if it was not understood, 3 if the time for it was over, 130 if
    it was interrupted, 141 if nobody reads the output any more. `run` answers with the code of what it ran.
    """
    try:
        return _main(list(sys.argv[1:] if words is None else words))
    except OutputClosed:
        return UNREAD


def _main(words: list[str]) -> int:
    face = ShellFace()
    try:
        result = asyncio.run(_perform(parse(words, prog=_PROG), face))
    except Help as help_:
        result = Text(help_.message)
    except OutputClosed:
        raise
    except CellFailed as error:
        face.show_traceback(error.traceback)
        return error.exit_code
    except SessionError as error:
        face.complain(str(error))
        return WRONG if isinstance(error, InvalidRequest) else FAILED
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    width = shutil.get_terminal_size((_WIDTH, 24)).columns
    if text := result.text(width, color=in_color(sys.stdout)):
        write(face.in_shells_words(text), sys.stdout, exact=isinstance(result, Json))
    return result.exit_code


async def _perform(asked: Namespace, face: ShellFace) -> Result:
    api = await open_api()
    try:
        result = await perform(api, asked, face)
    finally:
        await api.close()
    for warning in result.warnings:
        face.complain(plain(warning))
    return result


if __name__ == "__main__":
    sys.exit(main())
