"""The magics ``%session`` and ``%%session``, loaded by ``%load_ext jupyter_sessions``."""

from __future__ import annotations

import asyncio
import getpass
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from IPython.core.completer import (
    CompletionContext,
    MatcherAPIv2,
    MatcherResult,
    SimpleCompletion,
    SimpleMatcherResult,
    context_matcher,
)
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class

from jupyter_sessions.backends.base import Output
from jupyter_sessions.client import Api, Bridge, open_api
from jupyter_sessions.client.background_cell import BackgroundCell
from jupyter_sessions.client.cells import CellOutputs, CodeInterrupted, ask, check, follow, show
from jupyter_sessions.client.loop_thread import Say
from jupyter_sessions.client.timed import timed
from jupyter_sessions.client.variables import code_of_value, value_of
from jupyter_sessions.commands import Nothing, Result, Table, Text, parse, perform
from jupyter_sessions.commands.cell_options import parse_cell
from jupyter_sessions.commands.completion import complete, complete_cell
from jupyter_sessions.commands.grammar import Help
from jupyter_sessions.commands.notebook_face import NotebookFace, Question
from jupyter_sessions.commands.outputs import Shown
from jupyter_sessions.commands.result import plain
from jupyter_sessions.commands.widget_notice import talks_back, widget_notice, without_widget
from jupyter_sessions.errors import (
    Ambiguous,
    BackendUnavailable,
    CellFailed,
    NotReached,
    NotRunning,
    SessionError,
    SessionNotFound,
)
from jupyter_sessions.model import SessionInfo

_COMPLETION_SECONDS = 2.0
_MATCHER, _BEFORE_OTHERS = "jupyter_sessions", 1000.0
_MAGIC = re.compile(r"^\s*(?:[\w\s.,\[\]]+=\s*)?(?P<magic>%(?P<cell>%?)session\s.*)$")
_UNKNOWN = "<unknown>"
"""IPython's type of a completion without a description."""


class FoundSession:
    """A session that was found by its name, and the connection to it."""

    def __init__(self, api: Api, row: SessionInfo) -> None:
        self._api = api
        self.row = row
        self._at = (row.backend, row.id)

    def execute(self, code: str, stdin: bool, ref: str | None = None) -> AsyncIterator[Output]:
        """Run code in the session, provided that `ref` still refers to it."""
        return self._api.execute(*self._at, code, stdin=stdin, ref=ref)

    async def interrupt(self) -> None:
        """Interrupt the code that runs in the session."""
        await self._api.interrupt(*self._at)

    async def input(self, run: str, text: str) -> None:
        """Answer the input request of a run."""
        await self._api.input(*self._at, run, text)


@magics_class
class SessionMagics(Magics):
    """The magics of one IPython shell, with their connection."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._copy: Callable[[dict[str, object]], None] = shell.push
        self._bridge = Bridge()
        self._api: Api | None = None
        self._known: dict[str, FoundSession] = {}
        self._default = ""

    @line_cell_magic
    def session(self, line: str, cell: str | None = None) -> Result | BackgroundCell | None:
        """`%session VERB …` manages compute sessions; `%%session NAME` runs the cell in one.

        `%session --help` lists the verbs, `%session VERB --help` the options of one.
        """
        try:
            if cell is None:
                return self._command(line)
            asked = parse_cell(line, self._default)
            if asked.background:
                return self._start(asked, cell)
            self._run(asked, cell)
        except Help as text:
            return Text(text.message)
        except CellFailed:
            raise
        except SessionError as error:
            raise _in_one_sentence(error) from None
        except CodeInterrupted:
            raise
        except KeyboardInterrupt as stop:
            raise _interrupt_in_one_sentence(stop) from None
        return None

    def _command(self, line: str) -> Result | None:
        asked = parse(line)
        asked.request = self._request()

        async def work(say: Say) -> Result:
            live = hasattr(self.shell, "kernel")
            face = NotebookFace(say, can_ask=self._can_ask(), live=live, use=self._use)
            return await perform(await self._connected(), asked, face)

        result = self._bridge.talk(work, _hear)
        if not isinstance(result, Table):  # Tables show their warnings themselves.
            for warning in result.warnings:
                print(plain(warning), file=sys.stderr)  # noqa: T201
        if isinstance(result, Shown):
            for output in result.messages():
                show(output)
            return None
        return None if isinstance(result, Nothing) else result

    def _use(self, ref: str) -> None:
        self._default = ref

    def _request(self) -> str:
        """Return the id of the message that runs this magic, "" outside of kernels."""
        kernel = getattr(self.shell, "kernel", None)
        return str(kernel.get_parent().get("header", {}).get("msg_id", "")) if kernel is not None else ""

    async def _connected(self) -> Api:
        """Return the connection; a new one if the server of the earlier one is gone."""
        if self._api is None or not await self._api.alive():
            if self._api is not None:
                await self._api.close()
            self._known.clear()  # They belong to the old connection.
            self._api = await open_api()
        return self._api

    # Cells.

    def _run(self, asked: Namespace, code: str) -> None:
        ref = asked.session
        outputs = self._bridge.iterate(self._limited(asked, code, stdin=self._can_ask()))

        noticed = False

        def see(output: Output) -> None:
            nonlocal noticed
            if output.kind == "input_request":
                self._bridge.run(self._known[ref].input(output.run, ask(output)))
                return
            if talks_back(output):
                if not noticed:
                    show(widget_notice(self._known[ref].row))
                noticed, output = True, without_widget(output)
            show(output)

        try:
            follow(outputs, see, lambda: self._bridge.run(self._interrupt(ref)))
        except CellFailed as failed:
            if not asked.ignore_errors:
                raise
            print("\n".join(failed.traceback), file=sys.stderr)  # noqa: T201
        else:
            self._copy({name: self._value(ref, name, pickled=asked.pickle) for name in asked.output})
        finally:
            outputs.close()

    def _start(self, asked: Namespace, code: str) -> BackgroundCell:
        """Start a cell for which nobody waits. Errors: those of a session that is not found."""
        ref = asked.session
        self._known[ref] = self._bridge.run(self._find(ref))
        outputs = self._bridge.start(_collected(self._limited(asked, code, stdin=False)))
        return BackgroundCell(ref, outputs, lambda: self._bridge.run(self._interrupt(ref)))

    def _limited(self, asked: Namespace, code: str, *, stdin: bool) -> AsyncIterator[Output]:
        """Return the outputs of a cell with the time limit that was asked for."""
        source = self._outputs(asked.session, code, stdin)
        if not asked.timeout:
            return source
        return timed(source, asked.timeout, lambda: self._interrupt(asked.session))

    def _value(self, ref: str, name: str, *, pickled: bool) -> object:
        """Return the value of a variable in a session."""
        outputs = [*self._bridge.iterate(self._outputs(ref, code_of_value(name, pickled=pickled), False))]
        for output in outputs:
            check(output)
        return value_of(outputs, name, pickled=pickled)

    async def _interrupt(self, ref: str) -> bool:
        """Interrupt the code that runs in a session; return False if the session is not found yet."""
        known = self._known.get(ref)
        if known is not None:
            await known.interrupt()
        return known is not None

    async def _outputs(self, ref: str, code: str, stdin: bool) -> AsyncIterator[Output]:
        """Yield the outputs of a cell. A session that is known is not looked up again, which would slow down each cell."""
        if known := self._known.get(ref):
            begun = False
            try:
                async for output in known.execute(code, stdin, ref=ref):
                    begun = True
                    yield output
                return
            except (SessionNotFound, Ambiguous, NotRunning, NotReached):
                if begun:
                    raise
                del self._known[ref]  # Nothing has run; the name may refer to another session by now.
        found = self._known[ref] = await self._find(ref)
        async for output in found.execute(code, stdin):
            yield output

    async def _find(self, ref: str) -> FoundSession:
        if self._api is not None:
            with suppress(BackendUnavailable):  # The server is gone.
                return FoundSession(self._api, await self._api.find(ref))
        api = await self._connected()
        return FoundSession(api, await api.find(ref))

    def _can_ask(self) -> bool:
        kernel = getattr(self.shell, "kernel", None)
        return kernel is None or bool(getattr(kernel, "_allow_stdin", False))

    # Completion.

    def complete(self, line: str, word: str) -> dict[str, str]:
        """Return the completions of the `word` at the end of a line, each with its description.

        There are none if a backend does not answer soon.
        """
        with suppress(SessionError, TimeoutError):
            return self._bridge.run(self._complete(line, word))
        return {}

    async def _complete(self, line: str, word: str) -> dict[str, str]:
        before = _words(line.removesuffix(word))
        async with asyncio.timeout(_COMPLETION_SECONDS):
            api = await self._connected()
            if before[0].startswith("%%"):
                return await complete_cell(api, before[1:], word)
            return await complete(api, before[1:], word)


async def _collected(source: AsyncIterator[Output]) -> CellOutputs:
    found = CellOutputs()
    async for output in source:
        check(output)
        if output.kind != "reply":
            found.append(output)
    return found


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _in_one_sentence(error: SessionError) -> SessionError:
    """Let an error be shown as one sentence, without a traceback of our own code."""
    lines = [f"{error.reason}: {plain(str(error))}"]
    error._render_traceback_ = lambda: lines  # type: ignore[attr-defined]
    return error.with_traceback(None)


def _interrupt_in_one_sentence(stop: KeyboardInterrupt) -> KeyboardInterrupt:
    """Return the interrupt without a traceback, with the last message of the command: how to go on, or to cancel."""
    said = (
        " ".join(word for word in getattr(stop, "last_words", []) if isinstance(word, str))
        or "Interrupted. `%session ps` shows what there is."
    )
    interrupt = KeyboardInterrupt(said)
    interrupt._render_traceback_ = lambda: [plain(said)]  # type: ignore[attr-defined]
    return interrupt


def _ask(content: dict[str, Any]) -> str:
    prompt = str(content.get("prompt", ""))
    return getpass.getpass(prompt) if content.get("password") else input(prompt)


def _hear(word: object) -> None:
    """Print, show or ask what a verb sends from its thread."""
    match word:
        case Output():
            show(word)
        case Question():
            word.reply(_ask({"prompt": word.prompt, "password": word.secret}))
        case _:
            print(word, flush=True)  # noqa: T201


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics with an IPython shell."""
    magics = SessionMagics(shell)
    shell.register_magics(magics)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [one for one in matchers if getattr(one, "matcher_identifier", "") != _MATCHER]
    matchers.append(_matcher(magics))


def _matcher(magics: SessionMagics) -> MatcherAPIv2:
    """Return the matcher that alone completes lines of `%session` and `%%session`."""

    @context_matcher(identifier=_MATCHER, priority=_BEFORE_OTHERS)  # type: ignore[untyped-decorator]
    def match(context: CompletionContext) -> MatcherResult:
        line = _MAGIC.match(context.text_until_cursor)
        if line is None or (line["cell"] and context.cursor_line):
            return SimpleMatcherResult(completions=[], suppress=False)
        found = magics.complete(line["magic"], context.token)
        if not found and context.token:
            found = {context.token: ""}  # Other matchers would take the line for Python.
        completions = [SimpleCompletion(text, type=about or _UNKNOWN) for text, about in found.items()]
        return SimpleMatcherResult(completions=completions, suppress=True, ordered=True)

    return match  # type: ignore[no-any-return]
