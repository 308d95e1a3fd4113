"""Running code on a manager: over WebSockets that are kept for the next run, or by asking again and again.

Source: `/stream/session/{ref}/execute` and `POST /session/{ref}` of managers 23.09 to 26.8. The option
"messages" is of this package's own manager, which then sends a kernel's messages whole and leaves the
WebSocket open; others ignore it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import msgspec

from jupyter_sessions import errors
from jupyter_sessions.amounts import human_size
from jupyter_sessions.backends.backendai.http import MESSAGE_BYTES, ManagerClient
from jupyter_sessions.backends.base import Output
from jupyter_sessions.backends.parsing import too_much, understood
from jupyter_sessions.wire import untrusted

if TYPE_CHECKING:
    from jupyter_sessions.backends.backendai.http import WebSocket

HOLD_SECONDS = 30.0
_ANSWER_SECONDS = 1.0
_AHEAD = 100
_MOST_VALUES = 4_000_000
_MOST_DEPTH = 256
"""Of what a cell shows, which may be large tables."""
_FAILURES: dict[str, tuple[type[errors.SessionError], str]] = {
    "error": (errors.BadAnswer, "The manager failed to run the code."),
    "not-implemented": (errors.NotSupported, "The manager cannot run code in this session."),
    "server-restarting": (errors.BackendUnavailable, "The manager restarts."),
}

Frame = dict[str, Any]


class CodeRunner(Protocol):
    """A connection that runs one piece of code after the other in a session."""

    @property
    def reusable(self) -> bool:
        """Return whether another run may begin after the last one."""

    def frames(self, code: str, options: dict[str, bool]) -> AsyncIterator[Frame]:
        """Run code; what the manager says, up to the frame whose status is `finished`."""

    async def answer(self, text: str) -> None:
        """Give the run the input it asked for."""

    async def close(self) -> None:
        """Let go; code may run on."""


class Cells:
    """The runs of one backend, and a connection to each session in which code has run."""

    def __init__(self) -> None:
        self._idle: dict[str, CodeRunner] = {}
        self._busy: dict[tuple[str, str], CodeRunner] = {}

    async def execute(
        self, client: ManagerClient, id: str, code: str, *, stdin: bool
    ) -> AsyncIterator[Output]:
        """Run code; its messages as they come, the last of kind `reply`."""
        line = await self._line(client, id)
        run = secrets.token_hex(8)
        self._busy[id, run] = line
        try:
            async for frame in line.frames(code, {"messages": True, "stdin": stdin}):
                with understood(client.who):
                    outputs = _outputs(frame, run)
                for output in outputs:
                    yield output
        finally:
            del self._busy[id, run]
            await self._put_back(id, line)

    async def answer(self, client: ManagerClient, id: str, run: str, text: str) -> None:
        """Give a run the input it asked for. Errors: NotRunning, and what the manager says of others' runs."""
        if line := self._busy.get((id, run)):
            return await line.answer(text)
        body = {"mode": "input", "code": text, **_of_run(run), "options": {"messages": True}}
        await client.request("POST", f"/session/{quote(id)}", json=body)

    async def close(self) -> None:
        """Let go of all idle lines."""
        while self._idle:
            _, line = self._idle.popitem()
            await line.close()

    async def _line(self, client: ManagerClient, id: str) -> CodeRunner:
        line = self._idle.pop(id, None)
        if line is not None and line.reusable:
            return line
        if line is not None:
            await line.close()
        if socket := await client.websocket(f"/session/{quote(id)}/execute"):
            return StreamRunner(socket, client.who)
        return PollRunner(client, id)

    async def _put_back(self, id: str, line: CodeRunner) -> None:
        """Keep a line for the next run, unless there is one already; and no more those that have ended."""
        self._idle = {key: kept for key, kept in self._idle.items() if kept.reusable}
        if line.reusable and id not in self._idle:
            self._idle[id] = line
        else:
            await line.close()


class StreamRunner:
    """A connection over a WebSocket, read all the time so that its end is noticed at once."""

    def __init__(self, socket: WebSocket, who: str) -> None:
        self._socket = socket
        self._who = who
        self._between_runs = True
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue(_AHEAD)
        self._refused = ""
        self._reading = asyncio.create_task(self._read())

    @property
    def reusable(self) -> bool:
        """Return whether another run may begin: only this package's own manager keeps it open."""
        return self._between_runs and not self._reading.done() and not self._socket.closed

    async def frames(self, code: str, options: dict[str, bool]) -> AsyncIterator[Frame]:
        """Run code. Errors: BackendUnavailable if the connection breaks, and what the manager says."""
        self._between_runs = False
        await self._send(msgspec.json.encode({"mode": "query", "code": code, "options": options}).decode())
        while (frame := await self._frames.get()) is not None:
            status = str(frame.get("status"))
            if status in _FAILURES:
                raise _failure(frame, status)
            if status == "finished":
                self._between_runs = "runId" in frame
                yield frame
                return
            yield frame
        raise self._broken()

    async def answer(self, text: str) -> None:
        """Give the run the input it asked for: its text as it is."""
        await self._send(text)

    async def close(self) -> None:
        """Close it."""
        self._reading.cancel()
        await self._socket.close()

    async def _send(self, text: str) -> None:
        try:
            await self._socket.send_str(text)
        except ConnectionError as error:
            raise self._broken() from error

    def _broken(self) -> errors.SessionError:
        if self._refused:
            return too_much(self._who, self._refused)
        return errors.BackendUnavailable(f"{self._who} broke off the connection.", hint="Try again.")

    async def _read(self) -> None:
        import aiohttp

        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._take(message.data)
            elif message.type is aiohttp.WSMsgType.ERROR:
                self._refused = f"a message of more than {human_size(MESSAGE_BYTES)}"
            if self._refused:
                break
        await self._frames.put(None)

    async def _take(self, text: str) -> None:
        try:
            await self._frames.put(
                await untrusted.decode_gently(text, type=Frame, values=_MOST_VALUES, depth=_MOST_DEPTH)
            )
        except untrusted.LimitExceeded as error:
            self._refused = str(error)
        except msgspec.DecodeError:
            return


class PollRunner:
    """A connection of plain requests."""

    reusable = False

    def __init__(self, client: ManagerClient, id: str) -> None:
        self._client = client
        self._path = f"/session/{quote(id)}"
        self._answers: asyncio.Queue[str] = asyncio.Queue()

    async def frames(self, code: str, options: dict[str, bool]) -> AsyncIterator[Frame]:
        """Run code. Errors: what the manager says."""
        body: dict[str, Any] = {"mode": "query", "code": code, **_of_run(None), "options": options}
        waiting = False
        while True:
            answer = await self._client.request("POST", self._path, json=body, wait=HOLD_SECONDS)
            with understood(self._client.who):
                frame: Frame = answer["result"]
                status, run = frame["status"], frame.get("runId")
            # While it waits it says so again and again, which is not to be asked each time.
            yield frame | {"status": "continued"} if waiting and status == "waiting-input" else frame
            if status == "finished":
                return
            waiting = status == "waiting-input"
            text = await self._answered() if waiting else None
            waiting = waiting and text is None
            mode = "continue" if text is None else "input"
            body = {"mode": mode, "code": text or "", **_of_run(run), "options": options}

    async def _answered(self) -> str | None:
        """Return the next answer, or None if there is none for a while."""
        with suppress(TimeoutError):
            return await asyncio.wait_for(self._answers.get(), _ANSWER_SECONDS)
        return None

    async def answer(self, text: str) -> None:
        """Give the run the input it asked for, with the next request."""
        await self._answers.put(text)

    async def close(self) -> None:
        """Nothing is open."""


def _failure(frame: Frame, status: str) -> errors.SessionError:
    """Return the error in a frame."""
    if frame.get("error"):
        return errors.from_wire(frame["error"], 500)
    kind, words = _FAILURES[status]
    return kind(str(frame.get("msg") or words), hint="Ask who runs the manager.")


def _outputs(frame: Frame, run: str) -> list[Output]:
    """Return the messages of a kernel in a frame."""
    found = [_output(item, run) for item in frame.get("console") or []]
    status = frame.get("status")
    if status == "waiting-input" and not any(output.kind == "input_request" for output in found):
        password = bool((frame.get("options") or {}).get("is_password"))
        found.append(Output(kind="input_request", content={"prompt": "", "password": password}, run=run))
    if status == "finished":
        found.append(Output(kind="reply", content=frame.get("reply") or _reply(frame), run=run))
    return found


def _output(item: list[Any], run: str) -> Output:
    kind, payload = item
    if kind == "jupyter":
        return Output(kind=str(payload["msg_type"]), content={**payload["content"]}, run=run)
    if kind in ("stdout", "stderr"):
        return Output(kind="stream", content={"name": kind, "text": str(payload)}, run=run)
    mime, data = payload if kind == "media" else ("text/html" if kind == "html" else "text/plain", payload)
    return Output(kind="display_data", content={"data": {str(mime): data}, "metadata": {}}, run=run)


def _reply(frame: Frame) -> dict[str, Any]:
    if not frame.get("exitCode"):
        return {"status": "ok"}
    why = f"exit code {frame['exitCode']}"
    return {"status": "error", "ename": "CellFailed", "evalue": why, "traceback": [why]}


def _of_run(run: str | None) -> dict[str, str | None]:
    """Which run a request is about: managers from 26 on read only the second. Source: manager 26.9.6."""
    return {"runId": run, "run_id": run}
