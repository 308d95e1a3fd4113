"""``jupyter session …``: the same verbs as `%session`, for the shell."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import msgspec

from jupyter_sessions.client import connect
from jupyter_sessions.commands import parse, perform
from jupyter_sessions.commands.grammar import Help
from jupyter_sessions.errors import InvalidRequest, NotSupported, SessionError
from jupyter_sessions.wire.places import write_private

FAILED, WRONG, INTERRUPTED = 1, 2, 130
_MAGIC, _PROG = "%session", "jupyter session"
_WIDTH = 100


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line asks.

    The exit code is 0 if that was done, 1 if not, 2 if it was not understood, 130 if it was interrupted.
    """
    try:
        asked = parse(list(sys.argv[1:] if words is None else words), prog=_PROG)
        if asked.verb == "console":
            return asyncio.run(_console(asked))
        text = asyncio.run(_perform(asked))
    except Help as help_:
        text = help_.message
    except SessionError as error:
        print(_for_shell(str(error)), file=sys.stderr)  # noqa: T201
        return WRONG if isinstance(error, InvalidRequest) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    if text:
        print(_for_shell(text))  # noqa: T201
    return 0


async def _perform(asked: Namespace) -> str:
    api = await connect()
    try:
        result = await perform(api, asked, _say)
    finally:
        await api.close()
    return result.text(shutil.get_terminal_size((_WIDTH, 24)).columns)


async def _console(asked: Namespace) -> int:
    """Run Jupyter's console on a session's kernel. Errors: NotSupported if it is not installed."""
    if importlib.util.find_spec("jupyter_console") is None:
        raise NotSupported("The console is not installed.", hint="`pip install jupyter-console` does that.")
    api = await connect()
    try:
        row = await api.find(asked.session)
        connection = await api.connection(row.backend, row.id)
    finally:
        await api.close()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{row.name}.json"
        write_private(file, msgspec.json.encode(connection))
        command = [sys.executable, "-m", "jupyter_console", "--existing", str(file)]
        process = await asyncio.create_subprocess_exec(*command, env=dict(os.environ))
        return await process.wait()


def _say(text: str) -> None:
    print(_for_shell(text), flush=True)  # noqa: T201


def _for_shell(text: str) -> str:
    return text.replace(_MAGIC, _PROG)


if __name__ == "__main__":
    sys.exit(main())
