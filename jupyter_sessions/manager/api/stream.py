"""`GET /stream/session/{ref}/execute`: run code over a WebSocket.

The first message is the request, ``{"code", "mode", "options"}``; answers have the form of `report`. A message that
arrives while code runs is text for its input. At the end of the run the manager closes the WebSocket.

Source: clients 23.9.10 to 26.9.6, managers 23.09 to 26.8.

With ``options: {"messages": true}``, an addition of this manager, the WebSocket stays open for the next run, and a
run continues when its client disconnects; otherwise the run is then interrupted, as other managers do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec
from aiohttp import WSCloseCode, web

from jupyter_sessions.channels.kernel_client import Run
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.errors import InvalidRequest, SessionError
from jupyter_sessions.manager.api import sockets
from jupyter_sessions.manager.api.console import ends_step, report
from jupyter_sessions.manager.api.runs import begin, count, streamed
from jupyter_sessions.manager.api.session import SESSIONS, read_object
from jupyter_sessions.manager.endpoints.kernel_link import KernelLink
from jupyter_sessions.manager.run.supervisor import SessionSupervisor

_AT_ONCE = 1000
_AHEAD = 100


class Ask(msgspec.Struct, kw_only=True):
    """The message that starts a run."""

    code: str = ""
    mode: str = "query"
    options: dict[str, Any] | None = None


async def execute(request: web.Request) -> web.StreamResponse:
    """Follow runs until they end, the session ends, or the client disconnects."""
    supervisor = streamed(request)
    count(request, supervisor.record)
    touch = partial(request.app[SESSIONS].touch, supervisor.record)
    again = partial(count, request, supervisor.record)
    async with sockets.upgraded(request) as socket:
        await Conversation(socket, supervisor, touch, again).hold()
    return socket


class Conversation:
    """A client on its WebSocket, with at most one run at a time."""

    def __init__(
        self,
        socket: sockets.ServerWebSocket,
        supervisor: SessionSupervisor,
        touch: Callable[[], None],
        again: Callable[[], None],
    ) -> None:
        self._socket = socket
        self._supervisor = supervisor
        self._link: KernelLink = supervisor.running_link()
        self._touch = touch
        self._count = again
        self._run: Run | None = None
        self._whole = False
        self._answers: deque[str] = deque()
        self._following: asyncio.Task[None] | None = None

    async def hold(self) -> None:
        """Handle messages until the end."""
        end = asyncio.create_task(self._close_at_end())
        try:
            async for text in sockets.texts(self._socket):
                await self._take(text)
        finally:
            end.cancel()
            self._let_go()

    async def _take(self, text: str) -> None:
        if self._run is not None:
            if len(self._answers) >= _AHEAD or sum(map(len, self._answers)) + len(text) > sockets.LARGEST:
                raise InvalidRequest("Too much input was sent before the code asked for it.")
            self._answers.append(text)
            self._touch()
            return self._answer()
        try:
            asked = msgspec.convert(read_object(text, "message"), Ask)
            self._whole = bool((asked.options or {}).get("messages"))
            self._run = begin(self._supervisor, asked.mode, asked.code, asked.options or {})
        except msgspec.ValidationError as error:
            await self._refuse(InvalidRequest(f"The message cannot be read: {error}."))
        except SessionError as error:
            await self._refuse(error)
        else:
            if self._following is None:
                self._touch()  # Opening counted the first.
            else:
                self._count()
            self._following = asyncio.create_task(self._follow(self._run))

    async def _refuse(self, error: SessionError) -> None:
        said = {"status": "error", "msg": str(error), "console": [], "error": error.to_wire()}
        await sockets.send(self._socket, said)
        await sockets.close(self._socket, WSCloseCode.POLICY_VIOLATION, str(error))

    async def _follow(self, run: Run) -> None:
        """Send the output of a run as it arrives, and close at its end unless another run may follow."""
        status = ""
        try:
            while status != "finished":
                messages = await _gather(run)
                result = report(run, messages, whole=self._whole)
                asks = any(message["header"]["msg_type"] == "input_request" for message in messages)
                if result["status"] == "waiting-input" and not asks:
                    result |= {"status": "continued", "options": None}  # The client knows this already.
                status = result["status"]
                self._answer()
                if status == "finished":
                    self._end(run)
                await sockets.send(self._socket, result | ({"runId": run.id} if self._whole else {}))
            if not self._whole:
                await sockets.close(self._socket, WSCloseCode.OK)
        except ConnectionError:
            return  # The client has disconnected, which `hold` notices as well.

    def _answer(self) -> None:
        """Pass the next answer to the run once it asks for input."""
        if self._run is not None and self._run.waiting_input and self._answers:
            self._link.input(self._run, self._answers.popleft())

    def _end(self, run: Run) -> None:
        self._link.forget(run)
        self._run = None
        self._answers.clear()

    async def _close_at_end(self) -> None:
        """Close when the kernel has ended, after the end of the run has been reported."""
        await self._link.closed.wait()
        if self._following is not None:
            await asyncio.wait({self._following})
        await sockets.close(self._socket, WSCloseCode.GOING_AWAY, "The session's kernel has ended.")

    def _let_go(self) -> None:
        if self._following is not None:
            self._following.cancel()
        run = self._run
        if run is None or run.finished:
            return
        if self._whole:
            self._link.forget(run)
        else:
            with suppress(SessionError):
                self._supervisor.interrupt()
            self._end(run)


async def _gather(run: Run) -> list[Message]:
    """Return the messages since the last call, at least one unless the run has ended."""
    found: list[Message] = []
    message = await run.messages.get()
    while message is not None:
        found.append(message)
        if ends_step(message) or run.messages.empty() or len(found) >= _AT_ONCE:
            break
        message = await run.messages.get()
    return found
