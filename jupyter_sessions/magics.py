"""``%session`` and ``%%session``: ``%load_ext jupyter_sessions``."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class
from IPython.display import clear_output, publish_display_data

from jupyter_sessions.backends.base import Output
from jupyter_sessions.client import Api, Bridge, connect
from jupyter_sessions.commands import Nothing, Result, Text, parse, perform
from jupyter_sessions.commands.grammar import Help
from jupyter_sessions.errors import CellFailed, InvalidRequest, SessionError
from jupyter_sessions.model import SessionInfo

_USAGE = "`%session create python --name demo` makes one; then begin the cell with `%%session demo`."


class _Failure(Exception):
    """An error shown as its sentence, without a traceback of our own code."""

    def __init__(self, error: SessionError) -> None:
        super().__init__(str(error))

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self.__cause__).__name__}: {self}"]


class RemoteError(CellFailed):
    """What a cell raised in its session, shown with the traceback from there."""

    def __init__(self, reply: dict[str, Any]) -> None:
        self.ename = str(reply.get("ename", "Error"))
        self.evalue = str(reply.get("evalue", ""))
        self._lines = [str(line) for line in reply.get("traceback") or [f"{self.ename}: {self.evalue}"]]
        super().__init__(f"{self.ename}: {self.evalue}")

    def _render_traceback_(self) -> list[str]:
        return self._lines


@magics_class
class SessionMagics(Magics):  # type: ignore[misc]
    """The magics of one shell, with their connection."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._bridge = Bridge()
        self._api: Api | None = None

    @line_cell_magic  # type: ignore[untyped-decorator]
    def session(self, line: str, cell: str | None = None) -> Result | None:
        """`%session VERB …` manages compute sessions; `%%session NAME` runs the cell in one.

        `%session --help` lists the verbs, `%session VERB --help` the options of one.
        """
        try:
            return self._command(line) if cell is None else self._run(line.strip(), cell)
        except RemoteError:
            raise
        except Help as text:
            return Text(text.message)
        except SessionError as error:
            raise _Failure(error) from error

    def _command(self, line: str) -> Result | None:
        result = self._bridge.run(self._perform(line))
        return None if isinstance(result, Nothing) else result

    async def _perform(self, line: str) -> Result:
        return await perform(await self._connected(), parse(line), _say)

    async def _connected(self) -> Api:
        """The connection; made anew if the server it led to is gone."""
        if self._api is None or not await self._api.alive():
            self._api = await connect()
        return self._api

    def _run(self, ref: str, code: str) -> None:
        if not ref or " " in ref:
            raise InvalidRequest("%%session needs the name of a session.", hint=_USAGE)
        api, row = self._bridge.run(self._find(ref))
        outputs = self._bridge.iterate(api.execute(row.backend, row.id, code, stdin=self._can_ask()))
        interrupted = False
        while True:
            try:
                output = next(outputs)
            except KeyboardInterrupt:
                if interrupted:
                    outputs.close()
                    raise
                interrupted = True
                self._bridge.run(api.interrupt(row.backend, row.id))
                continue
            except StopIteration:
                return
            if output.kind == "reply":
                _finish(output, interrupted)
            else:
                self._show(api, row, output)

    async def _find(self, ref: str) -> tuple[Api, SessionInfo]:
        api = await self._connected()
        return api, await api.find(ref)

    def _can_ask(self) -> bool:
        kernel = getattr(self.shell, "kernel", None)
        return kernel is None or bool(getattr(kernel, "_allow_stdin", False))

    def _show(self, api: Api, row: SessionInfo, output: Output) -> None:
        if output.kind == "input_request":
            text = _ask(output.content)
            self._bridge.run(api.input(row.backend, row.id, output.run, text))
        else:
            show(output)


def show(output: Output) -> None:
    """Show one output of a remote cell here."""
    content = output.content
    if output.kind == "stream":
        stream = sys.stderr if content["name"] == "stderr" else sys.stdout
        stream.write(content["text"])
        stream.flush()
    elif output.kind in ("display_data", "execute_result", "update_display_data"):
        publish_display_data(
            content["data"],
            content.get("metadata"),
            transient=content.get("transient"),
            update=output.kind == "update_display_data",
        )
    elif output.kind == "clear_output":
        clear_output(wait=bool(content.get("wait")))


def _finish(output: Output, interrupted: bool) -> None:
    if output.content.get("status") == "ok":
        return
    error = RemoteError(output.content)
    if interrupted and error.ename == "KeyboardInterrupt":
        raise KeyboardInterrupt from None
    raise error


def _ask(content: dict[str, Any]) -> str:
    prompt = str(content.get("prompt", ""))
    return getpass.getpass(prompt) if content.get("password") else input(prompt)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make the magics known to a shell."""
    shell.register_magics(SessionMagics(shell))
