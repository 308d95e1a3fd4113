"""A notebook in a browser, as far as a Jupyter server sees it: REST, and a kernel's websocket."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.processes import Server

Message = dict[str, Any]


def post(made: Server, name: str, kernel: str) -> dict[str, Any]:
    """Open a notebook, as JupyterLab asks for it; the model of the server's own session."""
    (made.folder / "root" / name).touch()
    body = {"path": name, "type": "notebook", "name": name, "kernel": {"name": kernel}}
    return dict(made.ask("POST", "api/sessions", body))


class Page:
    """A page connected to a kernel; `closed` once the server has closed the connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._session = uuid.uuid4().hex
        self._changed = asyncio.Event()
        self.messages: list[Message] = []
        self.language: dict[str, Any] = {}
        self.closed = False

    async def listen(self) -> None:
        """Take in what comes."""
        async for message in self._socket:
            self.messages.append(json.loads(message.data))
            self._changed.set()
        self.closed = True
        self._changed.set()

    async def send(self, kind: str, content: dict[str, Any], channel: str = "shell") -> str:
        """Send a request; its id."""
        uid = uuid.uuid4().hex
        header = {"msg_id": uid, "msg_type": kind, "session": self._session, "username": "", "version": "5.4"}
        header["date"] = "2026-01-01T00:00:00Z"
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self._socket.send_str(json.dumps(message | {"channel": channel, "buffers": []}))
        return uid

    async def execute(self, code: str) -> str:
        """Run a cell; the id of the request."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        return await self.send("execute_request", content | {"allow_stdin": False, "stop_on_error": True})

    async def language_info(self) -> dict[str, Any]:
        """What front ends write into the notebook."""
        return dict((await self.reply(await self.send("kernel_info_request", {})))["language_info"])

    def shown(self, uid: str) -> str:
        """What a cell shows now: its output area."""
        text, clear = "", False
        for message in self.of(uid):
            kind, content = message["msg_type"], message["content"]
            if kind == "clear_output":
                text, clear = ("" if not content["wait"] else text), content["wait"]
            elif kind in ("stream", "error"):
                text = "" if clear else text
                text, clear = text + (content.get("text") or "\n".join(content["traceback"])), False
        return text

    def of(self, uid: str) -> list[Message]:
        """All that came for a request."""
        return [message for message in self.messages if message["parent_header"].get("msg_id") == uid]

    async def reply(self, uid: str, seconds: float = 40) -> dict[str, Any]:
        """The content of the answer to a request, once it went idle."""
        await self.until(lambda: self._replies(uid) and self._idle(uid), seconds)
        return self._replies(uid)[0]

    def _replies(self, uid: str) -> list[dict[str, Any]]:
        return [dict(one["content"]) for one in self.of(uid) if "status" in one["content"]]

    def _idle(self, uid: str) -> bool:
        return any(one["content"].get("execution_state") == "idle" for one in self.of(uid))

    async def until(self, true: Any, seconds: float = 40) -> None:
        """Wait until something holds of the messages."""
        async with asyncio.timeout(seconds):
            while not true():
                self._changed.clear()
                await self._changed.wait()

    @property
    def dead(self) -> bool:
        """Whether the page shows that the kernel is dead."""
        return any(one["content"].get("execution_state") == "dead" for one in self.messages)


@asynccontextmanager
async def page(made: Server, kernel_id: str) -> AsyncIterator[Page]:
    """A page connected to a kernel that answers."""
    url = f"{made.info['url'].replace('http', 'ws', 1)}api/kernels/{kernel_id}/channels"
    async with (
        aiohttp.ClientSession(headers=made.own) as client,
        client.ws_connect(url, max_msg_size=0) as socket,
    ):
        opened = Page(socket)
        listening = asyncio.create_task(opened.listen())
        try:
            opened.language = await opened.language_info()
            yield opened
        finally:
            listening.cancel()


async def of_notebooks(service: SessionService) -> list[SessionInfo]:
    """The live sessions of kernels."""
    return [row for row in (await service.list()).sessions if row.name.startswith(("one-", "two-"))]
