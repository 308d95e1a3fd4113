"""``jupyter session …``: the same verbs as `%session`, for the shell."""

from __future__ import annotations

import asyncio
import getpass
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

import jupyter_sessions.fast_imports  # noqa: F401 - before all that imports httpx
from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.signin import CredentialField
from jupyter_sessions.client import Api, open_api
from jupyter_sessions.commands import keys, parse, perform
from jupyter_sessions.commands.backends import questions
from jupyter_sessions.commands.grammar import Help
from jupyter_sessions.commands.result import Json, Result, Text, plain
from jupyter_sessions.commands.terminal import OutputClosed, printable, write
from jupyter_sessions.errors import InvalidRequest, NotSupported, SessionError
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService, configuration
from jupyter_sessions.wire.files import write_private

FAILED, WRONG, INTERRUPTED = 1, 2, 130
UNREAD = 141  # As a shell reports a program that SIGPIPE ended.
_MAGIC, _PROG = "%session", "jupyter session"
_WIDTH = 100


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line asks.

    The exit code is 0 if that was done, 1 if not, 2 if it was not understood, 130 if it was interrupted, 141 if
    nobody reads the output any more.
    """
    try:
        return _main(list(sys.argv[1:] if words is None else words))
    except OutputClosed:
        return UNREAD


def _main(words: list[str]) -> int:
    try:
        asked = parse(words, prog=_PROG)
        if asked.verb == "console":
            return asyncio.run(_console(asked))
        result = asyncio.run(_with_secrets(asked) if asked.verb in _WITH_SECRETS else _perform(asked))
    except Help as help_:
        result = Text(help_.message)
    except OutputClosed:
        raise
    except SessionError as error:
        _complain(str(error))
        return WRONG if isinstance(error, InvalidRequest) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    if text := result.text(shutil.get_terminal_size((_WIDTH, 24)).columns):
        write(_for_shell(text), sys.stdout, exact=isinstance(result, Json))
    return 0


async def _perform(asked: Namespace) -> Result:
    api = await open_api()
    try:
        for field in await questions(api, asked):
            asked.answers[field.name] = _ask(field)
        result = await perform(api, asked, _say)
    finally:
        await api.close()
    for warning in result.warnings:
        _complain(plain(warning))
    return result


def _ask(field: CredentialField) -> str:
    """What a person types, unseen if it is secret; a line of the input if nobody can type. Errors: InvalidRequest."""
    prompt = printable(f"{field.label}: ", sys.stdout.encoding)
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return getpass.getpass(prompt) if field.secret else input(prompt)
    except EOFError:
        raise InvalidRequest(f"{field.label} is missing.", hint="Type it.", field=field.name) from None


async def _console(asked: Namespace) -> int:
    """Run Jupyter's console on a session's kernel. Errors: NotSupported if it is not installed."""
    if importlib.util.find_spec("jupyter_console") is None:
        raise NotSupported("The console is not installed.", hint="`pip install jupyter-console` does that.")
    api = await open_api()
    try:
        row = await api.find(asked.session)
        connection = await api.connection(row.backend, row.id)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{row.name}.json"
            write_private(file, msgspec.json.encode(connection))
            with _interrupting(api, row):
                command = [sys.executable, "-m", "jupyter_console", "--existing", str(file)]
                process = await asyncio.create_subprocess_exec(*command, env=dict(os.environ))
                return await process.wait()
    finally:
        await api.close()


@contextmanager
def _interrupting(api: Api, row: SessionInfo) -> Iterator[None]:
    """Let Ctrl-C interrupt what runs in a session: Jupyter's console only says that it cannot do that itself."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    loop.add_signal_handler(signal.SIGINT, lambda: tasks.add(asyncio.create_task(_interrupt(api, row))))
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _interrupt(api: Api, row: SessionInfo) -> None:
    try:
        await api.interrupt(row.backend, row.id)
    except SessionError as error:
        _complain(str(error))


async def _with_secrets(asked: Namespace) -> Result:
    """What deals with secrets is done here, not by way of a server."""
    service = SessionService(configuration())
    try:
        return await _WITH_SECRETS[asked.verb](service.backend(asked.backend), asked)
    finally:
        await service.close()


async def _env(backend: Backend, asked: Namespace) -> Result:
    """Lines for a shell to evaluate."""
    return keys.exports(await backend.client_environment())


_WITH_SECRETS: dict[str, Callable[[Backend, Namespace], Awaitable[Result]]] = {
    "env": _env,
    "keys add": keys.add,
    "keys list": keys.show,
    "keys rm": keys.remove,
}


def _say(text: str) -> None:
    write(_for_shell(text), sys.stdout)


def _complain(text: str) -> None:
    write(_for_shell(text), sys.stderr)


def _for_shell(text: str) -> str:
    return text.replace(_MAGIC, _PROG)


if __name__ == "__main__":
    sys.exit(main())
