"""A kernel that is no process: it speaks the protocol at real sockets, and runs Python that takes no time.

Source: "Messaging in Jupyter", wire protocol 5.4.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq
import zmq.asyncio
from jupyter_client.session import Session

_INFO = {
    "status": "ok",
    "protocol_version": "5.4",
    "implementation": "in_memory",
    "implementation_version": "1",
    "language_info": {
        "name": "python",
        "version": "3.11.0",
        "mimetype": "text/x-python",
        "file_extension": ".py",
    },
    "banner": "",
    "help_links": [],
}


class InMemoryKernel:
    """Runs code at once, in one namespace; `ended` is called when it was asked to shut down."""

    def __init__(self, file: Path, ended: Callable[[], None]) -> None:
        told = msgspec.json.decode(file.read_bytes())
        self._session = Session(key=told["key"].encode(), username="in_memory")
        self._ended = ended
        self._count = 0
        self._names: dict[str, Any] = {}
        self._sockets: list[zmq.asyncio.Socket] = []
        context = zmq.asyncio.Context.instance()

        def bind(kind: int, channel: str) -> zmq.asyncio.Socket:
            socket = context.socket(kind)
            socket.linger = 0
            socket.bind(f"ipc://{told['ip']}-{told[f'{channel}_port']}")
            self._sockets.append(socket)
            return socket

        self._iopub = bind(zmq.PUB, "iopub")
        bind(zmq.ROUTER, "stdin")
        heartbeat = bind(zmq.REP, "hb")
        channels = [bind(zmq.ROUTER, channel) for channel in ("control", "shell")]
        self._tasks = [asyncio.create_task(self._serve(socket)) for socket in channels]
        self._tasks.append(asyncio.create_task(_echo(heartbeat)))

    def close(self) -> None:
        """Be gone."""
        for task in self._tasks:
            task.cancel()
        for socket in self._sockets:
            socket.close()

    async def _serve(self, socket: zmq.asyncio.Socket) -> None:
        while True:
            sender, frames = self._session.feed_identities(await socket.recv_multipart())
            message = self._session.deserialize(frames)
            kind = message["header"]["msg_type"]
            self._publish("status", {"execution_state": "busy"}, message)
            reply = self._answer(kind, message)
            if reply is not None:
                answer = self._session.msg(kind.replace("request", "reply"), reply, parent=message)
                await socket.send_multipart([*sender, *self._session.serialize(answer)])
            self._publish("status", {"execution_state": "idle"}, message)
            if kind == "shutdown_request":
                self._ended()

    def _answer(self, kind: str, message: dict[str, Any]) -> dict[str, Any] | None:
        content = message["content"]
        match kind:
            case "kernel_info_request":
                return _INFO
            case "execute_request":
                return self._execute(content["code"], message)
            case "complete_request":
                return self._complete(content["code"][: content["cursor_pos"]], content["cursor_pos"])
            case "shutdown_request":
                return {"status": "ok", "restart": content["restart"]}
            case "interrupt_request":
                return {"status": "ok"}
        return None

    def _complete(self, code: str, cursor: int) -> dict[str, Any]:
        matches = [name for name in sorted({*self._names, "print"}) if name.startswith(code)]
        return {"status": "ok", "matches": matches, "cursor_start": 0, "cursor_end": cursor, "metadata": {}}

    def _execute(self, code: str, message: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        self._publish("execute_input", {"code": code, "execution_count": self._count}, message)

        def say(*values: object, sep: str = " ", end: str = "\n") -> None:
            text = sep.join(map(str, values)) + end
            self._publish("stream", {"name": "stdout", "text": text}, message)

        try:
            exec(code, self._names | {"print": say}, self._names)
        except Exception as error:
            lines = traceback.format_exception(error)
            told = {"ename": type(error).__name__, "evalue": str(error), "traceback": lines}
            self._publish("error", told, message)
            return {"status": "error", "execution_count": self._count, **told}
        return {"status": "ok", "execution_count": self._count, "user_expressions": {}, "payload": []}

    def _publish(self, kind: str, content: dict[str, Any], parent: dict[str, Any]) -> None:
        message = self._session.msg(kind, content, parent=parent)
        frames = self._session.serialize(message, ident=kind.encode())
        with suppress(zmq.ZMQError):
            zmq.Socket.shadow(self._iopub).send_multipart(frames)


async def _echo(socket: zmq.asyncio.Socket) -> None:
    while True:
        await socket.send_multipart(await socket.recv_multipart())
