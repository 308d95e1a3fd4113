"""`GET /stream/session/{ref}/pty`: the session's terminal over a WebSocket.

Source: client 23.9.10 (`StreamPty`), managers 23.09 to 26.8: clients send ``stdin``, ``resize``, ``ping`` and
``restart``, managers send ``out``, with bytes in base64. Those managers restart the whole session; here only the
shell restarts, because nobody who types in a terminal expects notebooks to lose their memory.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated

import msgspec
from aiohttp import WSCloseCode, web
from msgspec import Meta

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api import sockets
from jupyter_sessions.manager.api.runs import count, streamed
from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.manager.run.terminal import Terminal

TerminalSize = Annotated[int, Meta(ge=1, le=10_000)]


class Stdin(msgspec.Struct, tag="stdin"):
    """Typed bytes in base64."""

    chars: str


class Resize(msgspec.Struct, tag="resize"):
    """The size of the terminal on the client's screen."""

    rows: TerminalSize
    cols: TerminalSize


class Ping(msgspec.Struct, tag="ping"):
    """A sign that the connection is alive, but not that somebody uses it."""


class Restart(msgspec.Struct, tag="restart"):
    """A request for a new shell."""


_READ = msgspec.json.Decoder(Stdin | Resize | Ping | Restart)


async def terminal(request: web.Request) -> web.StreamResponse:
    """Connect a client to the terminal, which keeps running without clients."""
    supervisor = streamed(request)
    shown = supervisor.programs.terminal()
    await shown.open()
    count(request, supervisor.record)
    sessions = request.app[SESSIONS]
    async with sockets.upgraded(request) as socket:
        out = asyncio.create_task(_show(shown, socket))
        try:
            async for text in sockets.texts(socket):
                if await _take(shown, text):
                    sessions.touch(supervisor.record)
        finally:
            out.cancel()
    return socket


async def _show(terminal: Terminal, socket: sockets.ServerWebSocket) -> None:
    try:
        async for data in terminal.view():
            await sockets.send(socket, {"type": "out", "data": base64.b64encode(data).decode()})
        await sockets.close(socket, WSCloseCode.OK, "The shell has ended.")
    except ConnectionError:
        return


async def _take(terminal: Terminal, text: str) -> bool:
    """Handle a message, and return whether it shows that somebody uses the terminal: a ping does not."""
    try:
        match message := _READ.decode(text):
            case Stdin(chars):
                await terminal.type(base64.b64decode(chars, validate=True))
            case Resize(rows, cols):
                terminal.resize(rows, cols)
            case Restart():
                await terminal.restart()
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The message cannot be read: {error}.") from None
    return not isinstance(message, Ping)
