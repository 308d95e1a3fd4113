"""Code that runs in a session: its outputs, shown where a person sees them, and interrupts."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Any

from jupyter_sessions.backends.base import Output
from jupyter_sessions.client.api import Api
from jupyter_sessions.errors import CellFailed, SessionError

RESULT = "application/vnd.jupyter-sessions.result+json"
"""The media type of the output with which a call's result comes back; it is not shown."""
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between the interrupts of code whose caller was cancelled."""
_SHOWN = ("display_data", "execute_result")


class CellOutputs(list[Output]):
    """The outputs of code, in order. A notebook shows them while the code runs, and not again."""

    @property
    def text(self) -> str:
        """What the code printed, to stdout and stderr."""
        return "".join(str(output.content.get("text", "")) for output in self if output.kind == "stream")

    @property
    def result(self) -> dict[str, Any] | None:
        """The value of the last expression by media type, such as "text/plain"; None if there is none."""
        found = [output.content["data"] for output in self if output.kind == "execute_result"]
        return found[-1] if found else None

    def _ipython_display_(self) -> None:
        """Show nothing."""


class CodeInterrupted(KeyboardInterrupt):
    """An interrupt that has ended code in its session, shown with the traceback from there; the session lives on."""

    def __init__(self, failed: CellFailed) -> None:
        super().__init__("the code was interrupted in its session")
        self._lines = [*failed.traceback]

    def _render_traceback_(self) -> list[str]:
        return self._lines


class CodeRun:
    """One run of code in the session `id` of a backend."""

    def __init__(self, api: Api, backend: str, id: str, code: str, *, stdin: bool = False) -> None:
        self._api, self._at, self._code, self._stdin = api, (backend, id), code, stdin
        self._runs = False

    async def outputs(self) -> AsyncGenerator[Output, None]:
        """Run the code, and yield its outputs and at the end the reply."""
        self._runs = True
        async for output in self._api.execute(*self._at, self._code, stdin=self._stdin):
            yield output
        self._runs = False

    async def interrupt(self) -> bool:
        """Interrupt the code, if it runs; return whether it does."""
        if self._runs:
            await self._api.interrupt(*self._at)
        return self._runs

    async def answer(self, output: Output, text: str) -> None:
        """Answer an `input_request`."""
        await self._api.input(*self._at, output.run, text)


async def collect(run: CodeRun, outputs: AsyncGenerator[Output, None], *, show: bool) -> CellOutputs:
    """Return the outputs of a run, which is interrupted if this is cancelled. Errors: CellFailed."""
    work = asyncio.ensure_future(_all(outputs, show_each=show))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await _stop(run, work)
        raise


async def _all(outputs: AsyncGenerator[Output, None], *, show_each: bool) -> CellOutputs:
    found = CellOutputs()
    async with aclosing(outputs):
        async for output in outputs:
            check(output)
            if output.kind != "reply":
                found.append(output)
                if show_each:
                    show(output)
    return found


async def _stop(run: CodeRun, work: asyncio.Future[CellOutputs]) -> None:
    """Interrupt a run, again after ever longer pauses, until it has ended.

    A kernel that has not begun with the code yet does not notice an interrupt.
    """
    try:
        with suppress(SessionError):
            for pause in _PAUSES:
                if work.done() or not await run.interrupt():
                    break
                await asyncio.wait({work}, timeout=pause)
    finally:
        work.cancel()
    await asyncio.gather(work, return_exceptions=True)


def check(output: Output) -> None:
    """Errors: CellFailed for the reply of code that raised."""
    if output.kind == "reply" and output.content.get("status") != "ok":
        raise CellFailed.of(output.content)


def follow(outputs: Iterable[Output], see: Callable[[Output], None], interrupt: Callable[[], bool]) -> None:
    """Pass on outputs as they arrive, and requests for input, to `see`.

    Ctrl-C interrupts the code, whose outputs still come; pressed again, it leaves the code alone. `interrupt` returns
    False if the code does not run yet. Errors: CellFailed; CodeInterrupted if the interrupt has ended the code.
    """
    try:
        return _pass_on(outputs, see)
    except KeyboardInterrupt:
        if not interrupt():
            raise
    try:
        _pass_on(outputs, see)
    except CellFailed as failed:
        raise CodeInterrupted(failed) from None


def _pass_on(outputs: Iterable[Output], see: Callable[[Output], None]) -> None:
    for output in outputs:
        check(output)
        if output.kind != "reply":
            see(output)


def show(output: Output) -> None:
    """Show an output as if the code had run here: in a notebook with pictures, elsewhere as text."""
    content = output.content
    if output.kind == "stream":
        stream = sys.stderr if content["name"] == "stderr" else sys.stdout
        stream.write(content["text"])
        stream.flush()
    elif RESULT in content.get("data", {}):
        return
    elif _in_ipython():
        _publish(output)
    elif output.kind in _SHOWN and "text/plain" in content["data"]:
        print(content["data"]["text/plain"], flush=True)  # noqa: T201


def _publish(output: Output) -> None:
    from IPython.display import clear_output, publish_display_data

    content = output.content
    if output.kind in (*_SHOWN, "update_display_data"):
        publish_display_data(  # type: ignore[no-untyped-call]
            content["data"],
            content.get("metadata"),
            transient=content.get("transient"),
            update=output.kind == "update_display_data",
        )
    elif output.kind == "clear_output":
        clear_output(wait=bool(content.get("wait")))  # type: ignore[no-untyped-call]


def _in_ipython() -> bool:
    shell = sys.modules.get("IPython.core.interactiveshell")
    return shell is not None and bool(shell.InteractiveShell.initialized())


def ask(output: Output) -> str:
    """Ask the person here for what code in a session waits for, unseen if it is a password."""
    prompt = str(output.content.get("prompt", ""))
    return getpass.getpass(prompt) if output.content.get("password") else input(prompt)


def can_ask() -> bool:
    """Return whether somebody can be asked: in a notebook whose front end allows it, or in a terminal."""
    if _in_ipython():
        from IPython.core.getipython import get_ipython

        if (kernel := getattr(get_ipython(), "kernel", None)) is not None:
            return bool(getattr(kernel, "_allow_stdin", False))
    return sys.stdin is not None and sys.stdin.isatty()
