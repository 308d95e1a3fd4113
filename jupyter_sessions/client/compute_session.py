"""A session as an object of Python: `AsyncComputeSession`, and its blocking twin `ComputeSession`."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import aclosing, suppress
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Literal, Self, overload

from jupyter_sessions.backends.base import Output
from jupyter_sessions.backends.file_transfer import FileEntry
from jupyter_sessions.client import calls, card, cells
from jupyter_sessions.client.blocking import (
    Blocking,
    Reading,
    background,
    blocking,
    iterating,
    refuse_in_loop,
)
from jupyter_sessions.client.calls import PickledCall
from jupyter_sessions.client.cells import CellOutputs, CodeRun
from jupyter_sessions.client.connection import Connection
from jupyter_sessions.client.file_trees import fetch_file, files_below, send
from jupyter_sessions.client.services import ServiceLinks, SessionUsage, links_of, usage_of
from jupyter_sessions.errors import InvalidRequest, LaunchFailed, SessionError, SessionNotFound
from jupyter_sessions.model import USABLE, Event, SessionInfo, standing

Goal = Literal["running", "ended"]
_LOG_SECONDS = 1.0
_CARD_SECONDS = 2.0


class AsyncComputeSession:
    """A session, made by `AsyncSessions`. What is an attribute of `ComputeSession` is a method here.

    Asynchronous context managers end the session when they are left, unless it was made with keep=True, or was there
    before.
    """

    def __init__(self, connection: Connection, row: SessionInfo, *, keep: bool = True) -> None:
        self._connection = connection
        self._row = row
        self._keep = keep
        self._base_url = ""
        self._on_this_machine: bool | None = None
        self._turn = asyncio.Lock()

    @property
    def backend(self) -> str:
        """The name of its backend."""
        return self._row.backend

    @property
    def id(self) -> str:
        """Its id."""
        return self._row.id

    @property
    def name(self) -> str:
        """Its name."""
        return self._row.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__.removeprefix('Async')} {card.line(self._row)}>"

    def _repr_html_(self) -> str:
        links = links_of(self._row, self._base_url)
        usable = self._row.status in USABLE and bool(self._base_url)
        return card.html(self._row, [(one.name, one.url) for one in links.values() if usable and one.path])

    async def info(self) -> SessionInfo:
        """Return all that is known of the session now. Errors: SessionNotFound."""
        api = await self._connection.api()
        self._base_url, self._row = api.base_url, await api.get(self.backend, self.id)
        return self._row

    async def status(self) -> str:
        """Return the status, such as "PENDING", "RUNNING" or "TERMINATED"; see `model.STATUSES`."""
        return (await self.info()).status

    async def usage(self) -> SessionUsage:
        """Return what the session uses now: cores, bytes of memory, GPUs."""
        return usage_of((await self.info()).live_stat)

    async def services(self) -> ServiceLinks:
        """Return the session's services by name, each with its `url`, and `open()` for a browser."""
        row = await self.info()
        return links_of(row, self._base_url)

    async def run(self, code: str, *, show: bool = True) -> CellOutputs:
        """Run code, and return its outputs, which are shown as they come, unless `show` is False.

        Errors: CellFailed with the traceback from the session; NotRunning.
        """
        run = await self._code_run(code)
        return await cells.collect(run, self._outputs(run), show=show)

    async def call(
        self, function: Callable[..., Any], /, *args: Any, unpickle: bool = False, **kwargs: Any
    ) -> Any:
        """Call a function in the session, and return what it returns. What it prints is shown.

        The function travels by its code, with those of its own module unless that is installed. This Python and the
        session's must have the same minor version. Results of a session on this machine may be anything that can be
        pickled. Those of another machine are numbers, texts, lists and dicts, unless you trust it and set `unpickle`:
        unpickling can run code.

        Errors: CellFailed if the function raised; InvalidRequest for a function or result that cannot travel.
        """
        trusted = unpickle or await self._is_here()
        return await self._called(calls.pickle_call(function, args, kwargs, pickled=trusted), show=True)

    async def _called(self, call: PickledCall, *, show: bool) -> Any:
        outputs = CellOutputs()
        for complete in (False, True):
            run = await self._code_run(call.code(with_cloudpickle=complete))
            outputs = await cells.collect(run, self._outputs(run), show=show)
            if not calls.lacks_cloudpickle(outputs):
                break
        return calls.result_of(outputs, pickled=call.pickled)

    async def _code_run(self, code: str, *, stdin: bool = False) -> CodeRun:
        return CodeRun(await self._connection.api(), self.backend, self.id, code, stdin=stdin)

    async def _outputs(self, run: CodeRun) -> AsyncGenerator[Output, None]:
        """Yield the outputs of a run, once earlier ones of this object are done.

        So a run that waits can be cancelled without an interrupt of another one.
        """
        async with self._turn, aclosing(run.outputs()) as outputs:
            async for output in outputs:
                yield output

    async def _is_here(self) -> bool:
        if self._on_this_machine is None:
            (info,) = await (await self._connection.api()).describe(self.backend)
            self._on_this_machine = info.on_this_machine
        return self._on_this_machine

    async def interrupt(self) -> None:
        """Interrupt the code that runs in the session."""
        await (await self._connection.api()).interrupt(self.backend, self.id)

    async def wait(self, until: Goal = "running", timeout: float | None = None) -> SessionInfo:
        """Wait until the session runs or has ended, at most `timeout` seconds, and return all that is known of it then.

        A session that has ended in success counts as one that ran. Errors: LaunchFailed if it can never run;
        TimeoutError, and the session goes on.
        """
        if until not in ("running", "ended"):
            raise InvalidRequest(
                f"Nobody can wait for '{until}'.", hint="Wait until running or ended.", field="until"
            )
        api = await self._connection.api()
        try:
            async with asyncio.timeout(timeout):
                async for row in api.wait(self.backend, self.id, lambda row: _is_over(row, until)):
                    self._row = row
        except TimeoutError:
            state = standing(self.name, self._row.status, self._row.status_info)
            raise TimeoutError(f"{state.removesuffix('.')}, after {timeout:g} s.") from None
        if until == "running" and self._row.status not in USABLE and self._row.result != "SUCCESS":
            hint = "Its `logs()` and `events()` may say more."
            raise LaunchFailed(standing(self.name, self._row.status, self._row.status_info), hint=hint)
        return self._row

    async def logs(self) -> str:
        """Return what the session's processes printed, the newest part if it is long."""
        return await (await self._connection.api()).logs(self.backend, self.id)

    async def follow_logs(self) -> AsyncIterator[str]:
        """Yield what the session's processes printed so far, and then print, until the session has ended."""
        seen = ""
        while True:
            live = (await self.info()).live
            text = await self.logs()
            if new := _new_part(seen, text):
                yield new
            if not live:
                return
            seen = text
            await asyncio.sleep(_LOG_SECONDS)

    async def events(self) -> builtins.list[Event]:
        """Return what has happened to the session, the oldest first."""
        return await (await self._connection.api()).events(self.backend, self.id)

    async def upload(self, file: str | os.PathLike[str], path: str | None = None) -> None:
        """Send a file to the session, or the files of a folder that no .gitignore leaves out.

        `path` is what it is called in the session's working folder; without it, files below the current folder keep their
        place. Each file replaces an earlier one once it has arrived. Errors: NotFound; NotSupported by backends that take
        no files.
        """
        found = await asyncio.to_thread(files_below, os.fspath(file), None, path)
        await send(await self._connection.api(), self._row, found)

    async def download(self, path: str, file: str | os.PathLike[str] | None = None) -> Path:
        """Fetch the file `path` of the session's working folder, and return where it is now.

        It is stored as `file`, or in it if that is a folder, else under its own name in the current folder. Errors:
        NotFound; NotSupported by backends that give no files.
        """
        name = PurePosixPath(path).name
        target = Path(name if file is None else file)
        target = target / name if await asyncio.to_thread(target.is_dir) else target
        await fetch_file(await self._connection.api(), self._row, path, target)
        return target

    async def ls(self, path: str = ".") -> builtins.list[FileEntry]:
        """Return the entries of a folder of the session's working folder, sorted by name."""
        return await (await self._connection.api()).ls(self.backend, self.id, path)

    async def restart(self) -> SessionInfo:
        """Restart the session: its variables are gone, and its files, name and resources stay."""
        self._row = await (await self._connection.api()).restart(self.backend, self.id)
        return self._row

    async def renew(self) -> SessionInfo:
        """Extend the time of the session. Errors: NotSupported."""
        self._row = await (await self._connection.api()).renew(self.backend, self.id)
        return self._row

    async def rename(self, name: str) -> SessionInfo:
        """Rename the session."""
        self._row = await (await self._connection.api()).rename(self.backend, self.id, name)
        return self._row

    async def terminate(
        self, *, forced: bool = False, recursive: bool = False, wait: bool = True
    ) -> SessionInfo:
        """End the session, or cancel it while it waits, and `wait` until it has ended.

        `forced` skips the grace time, `recursive` ends those that depend on it, too.
        """
        api = await self._connection.api()
        self._row = await api.destroy(self.backend, self.id, forced=forced, recursive=recursive)
        if wait and self._row.live:
            with suppress(SessionNotFound):  # Some backends forget sessions that have ended.
                await self.wait("ended")
        return self._row

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keep:
            with suppress(SessionNotFound):
                await self.terminate()


class ComputeSession(Blocking[AsyncComputeSession]):
    """A session, made by `Sessions`.

    `with sessions.create(…) as session:` ends the session afterwards, unless it was made with keep=True, or was there
    before.
    """

    def __init__(self, client: AsyncComputeSession) -> None:
        super().__init__(client, client._connection)

    @property
    def backend(self) -> str:
        """The name of its backend."""
        return self._client.backend

    @property
    def id(self) -> str:
        """Its id."""
        return self._client.id

    @property
    def name(self) -> str:
        """Its name."""
        return self._client.name

    def __repr__(self) -> str:
        return repr(self._client)

    def _repr_html_(self) -> str:
        with suppress(SessionError, TimeoutError, RuntimeError):
            background().run(asyncio.wait_for(self._client.info(), _CARD_SECONDS))
        return self._client._repr_html_()

    info = Reading(AsyncComputeSession.info)
    status = Reading(AsyncComputeSession.status)
    usage = Reading(AsyncComputeSession.usage)
    services = Reading(AsyncComputeSession.services)

    def run(self, code: str, *, show: bool = True) -> CellOutputs:
        """Run code, and return its outputs, which are shown as they come, unless `show` is False.

        In notebooks and terminals the code may ask for input. Ctrl-C interrupts it; pressed again, it leaves it alone.
        Errors: CellFailed with the traceback from the session; NotRunning.
        """
        refuse_in_loop("ComputeSession.run")
        return self._follow(code, show=show, stdin=show and cells.can_ask())

    def _follow(self, code: str, *, show: bool, stdin: bool = False) -> CellOutputs:
        loop = background()
        run = loop.run(self._client._code_run(code, stdin=stdin))
        outputs, found = loop.iterate(self._client._outputs(run)), CellOutputs()

        def see(output: Output) -> None:
            if output.kind == "input_request":
                loop.run(run.answer(output, cells.ask(output)))
                return
            found.append(output)
            if show:
                cells.show(output)

        try:
            cells.follow(outputs, see, lambda: loop.run(run.interrupt()))
        finally:
            outputs.close()
        return found

    def call(self, function: Callable[..., Any], /, *args: Any, unpickle: bool = False, **kwargs: Any) -> Any:
        """Call a function in the session, and return what it returns; see `AsyncComputeSession.call`."""
        refuse_in_loop("ComputeSession.call")
        call = self._pickled(function, args, kwargs, unpickle)
        outputs = self._follow(call.code(with_cloudpickle=False), show=True)
        if calls.lacks_cloudpickle(outputs):
            outputs = self._follow(call.code(with_cloudpickle=True), show=True)
        return calls.result_of(outputs, pickled=call.pickled)

    call.__doc__ = AsyncComputeSession.call.__doc__

    def submit(
        self, function: Callable[..., Any], /, *args: Any, unpickle: bool = False, **kwargs: Any
    ) -> Future[Any]:
        """Call a function in the session as `call` does, and return a future of the result at once.

        Calls run one after the other. What they print is not shown. Cancelling the future interrupts the function.
        """
        refuse_in_loop("ComputeSession.submit")
        call = self._pickled(function, args, kwargs, unpickle)
        return background().start(self._client._called(call, show=False))

    def _pickled(self, function: Callable[..., Any], args: Any, kwargs: Any, unpickle: bool) -> PickledCall:
        trusted = unpickle or background().run(self._client._is_here())
        return calls.pickle_call(function, args, kwargs, pickled=trusted)

    @overload
    def logs(self, *, follow: Literal[False] = False) -> str: ...

    @overload
    def logs(self, *, follow: Literal[True]) -> Iterator[str]: ...

    def logs(self, *, follow: bool = False) -> str | Iterator[str]:
        """Return what the session's processes printed; with `follow`, its parts as they come until the session has ended."""
        return self._follow_logs() if follow else self._logs()

    _logs = blocking(AsyncComputeSession.logs)
    _follow_logs = iterating(AsyncComputeSession.follow_logs)
    interrupt = blocking(AsyncComputeSession.interrupt)
    wait = blocking(AsyncComputeSession.wait)
    events = blocking(AsyncComputeSession.events)
    upload = blocking(AsyncComputeSession.upload)
    download = blocking(AsyncComputeSession.download)
    ls = blocking(AsyncComputeSession.ls)
    restart = blocking(AsyncComputeSession.restart)
    renew = blocking(AsyncComputeSession.renew)
    rename = blocking(AsyncComputeSession.rename)
    terminate = blocking(AsyncComputeSession.terminate)
    _leave = blocking(AsyncComputeSession.__aexit__)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(kind, error, trace)


def _is_over(row: SessionInfo, until: Goal) -> bool:
    return row.settled if until == "running" else not row.live or row.status == "ERROR"


def _new_part(seen: str, text: str) -> str:
    """Return what a log has beyond an earlier look at it; all of it if the earlier part is not there any more."""
    if text.startswith(seen):
        return text[len(seen) :]
    end = seen[-1000:]
    at = text.rfind(end)
    return text[at + len(end) :] if at >= 0 else text
