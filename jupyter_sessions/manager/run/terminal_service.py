"""The terminal as a service: a page that shows a shell of the session, and the WebSocket behind it.

The manager serves it itself, on a unix socket as other services, so that a session needs no package for it. The page
holds xterm.js; the messages are those of Jupyter's terminals (terminado).
"""

from __future__ import annotations

import asyncio
import codecs
from contextlib import suppress
from html import escape
from pathlib import Path
from string import Template
from typing import Annotated, Any

import msgspec
from aiohttp import WSMsgType, web

from jupyter_sessions.manager.run.terminal import Terminal
from jupyter_sessions.wire.files import remove

FOLDER = Path(__file__).parent / "terminal_page"
_FILES = ("xterm.js", "xterm.css", "addon-fit.js", "terminal.js", "terminal.css")
_HEADERS = {
    # xterm.js sets styles; the page needs nothing from elsewhere.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
}
_LONGEST_MESSAGE = 4 << 20
_Length = Annotated[int, msgspec.Meta(ge=1, le=10_000)]
_STDIN, _SIZE = "stdin", "set_size"


class TerminalService:
    """Serves one terminal on a unix socket, with a page that names the session."""

    def __init__(self, terminal: Terminal, session: str) -> None:
        self.terminal = terminal
        self._session = session
        self._runner: web.AppRunner | None = None

    async def open(self, socket: Path) -> None:
        """Start to listen, unless it does so already."""
        if self._runner is not None:
            return
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._page),
                web.get("/websocket", self._websocket),
                *(web.get(f"/{name}", _file) for name in _FILES),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        remove(socket)
        await web.UnixSite(self._runner, str(socket)).start()

    async def close(self) -> None:
        """Listen no more; the shell stays."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        text = Template((FOLDER / "index.html").read_text()).substitute(session=escape(self._session))
        return web.Response(text=text, content_type="text/html", headers=_HEADERS)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        await self.terminal.open()
        socket = web.WebSocketResponse(heartbeat=30, max_msg_size=_LONGEST_MESSAGE)
        await socket.prepare(request)
        shown = asyncio.create_task(self._show(socket))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._take(message.data)
        finally:
            shown.cancel()
        return socket

    async def _show(self, socket: web.WebSocketResponse) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with suppress(ConnectionError):
            async for data in self.terminal.view():
                await socket.send_json(["stdout", decoder.decode(data)])
            await socket.send_json(["disconnect", 1])
            await socket.close()

    async def _take(self, text: str) -> None:
        """Handle a message; one that cannot be read is ignored, as terminado does."""
        with suppress(msgspec.MsgspecError, RecursionError, ValueError):
            message: list[Any] = msgspec.json.decode(text, type=list)
            if message[:1] == [_STDIN] and isinstance(message[1:][0], str):
                await self.terminal.type(message[1].encode())
            elif message[:1] == [_SIZE]:
                rows, columns = msgspec.convert(message[1:3], tuple[_Length, _Length])
                self.terminal.resize(rows, columns)


async def _file(request: web.Request) -> web.FileResponse:
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "max-age=3600"}
    return web.FileResponse(FOLDER / request.path.lstrip("/"), headers=headers)
