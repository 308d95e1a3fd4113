"""The terminal of a session, and tunnels to its services: bytes over WebSockets."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from tests.manager.world import V8, Rest, WebSocket, kernels, nothing_left, says

pytestmark = pytest.mark.asyncio

ECHO = """
import socket, sys, threading
def serve(one):
    while data := one.recv(65536): one.sendall(data)
    one.close()
listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1]); listener.listen()
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""


@pytest_asyncio.fixture
async def service(machine: Path) -> AsyncIterator[SessionService]:
    """The backends of this process, on the shared manager."""
    made = SessionService(JupyterSessions())
    yield made
    await made.close()


@pytest_asyncio.fixture
async def rest(service: SessionService, tmp_path: Path) -> AsyncIterator[Rest]:
    """A session with three services: one answers, one ends at once, one never listens."""
    await service.backend("local").capacity()
    program = tmp_path / "echo.py"
    program.write_text(ECHO)
    python = sys.executable
    launch = {
        "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "env": {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "PS1": "$ "},
        "cwd": str(tmp_path),
        "services": {
            "echo": [python, str(program), "{socket}"],
            "ends": ["/bin/false"],
            "never": ["/bin/sleep", "100"],
        },
    }
    config = {"launch": launch, "resources": {"cpu": "0.5", "mem": "256m"}}
    async with Rest(V8) as made:
        answer = await made.send(
            "POST", "/session", {"name": "shelled", "image": "python3", "config": config}
        )
        assert answer.json()["status"] == "RUNNING", answer.text
        yield made


async def type_in(socket: WebSocket, text: str) -> None:
    await socket.send_json({"type": "stdin", "chars": base64.b64encode(text.encode()).decode()})


async def shown(socket: WebSocket, part: str) -> str:
    """What appears up to some text."""
    seen = ""
    while part not in seen:
        message = await socket.receive(timeout=30)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, seen)
        body = json.loads(message.data)
        assert body["type"] == "out"
        seen += base64.b64decode(body["data"]).decode(errors="replace")
    return seen


async def test_a_terminal(rest: Rest, service: SessionService) -> None:
    where = "/stream/session/shelled/pty"
    async with rest.socket(where) as socket, rest.socket(where) as other:
        await socket.send_json({"type": "resize", "rows": 33, "cols": 77})
        await socket.send_json({"type": "ping"})
        await type_in(socket, "stty size; echo $BACKENDAI_SESSION_NAME; tty; pwd; x=5\n")
        seen = await shown(socket, "/pts/")
        assert ("33 77" in seen, "shelled" in seen) == (True, True)
        assert "33 77" in await shown(other, "/pts/"), "all see the same"
        await type_in(other, "sh -c 'echo sle''eps; exec sleep 100'\n")
        await shown(socket, "sleeps")  # Said by what has the terminal: an interrupt reaches it.
        await type_in(socket, "\x03echo $((41 + 1))\n")
        await shown(socket, "42")
    async with rest.socket(where) as again:
        assert "33 77" in await shown(again, "42"), "it goes on, and shows what was there"
        await type_in(again, "echo x is $x; yes | head -c 3000000 | tr -d '\\n'; echo; echo do''ne\n")
        assert len(await shown(again, "done")) >= 1_500_000
        await type_in(again, "echo $x; sleep 1000\n")
        await again.send_json({"type": "restart"})
        await type_in(again, "echo x is ${x:-lost}\n")
        await shown(again, "x is lost")
        await type_in(again, "exit\n")
        while (message := await again.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.data == 1000
    row = await service.find("shelled")
    async with rest.socket(where) as last:
        await shown(last, "$ ")
        assert await says(service, row, "print(1)") == "1"
        await service.destroy("local", row.id)
        while (message := await last.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type is aiohttp.WSMsgType.CLOSE
    await nothing_left(row)


HOSTILE: list[Any] = [
    "",
    "x",
    "[]",
    '{"type": "format"}',
    '{"type": "stdin"}',
    '{"type": "stdin", "chars": "?"}',
    '{"type": "stdin", "chars": "é"}',
    '{"type": "resize", "rows": 0, "cols": 80}',
    '{"type": "resize", "rows": 1e9, "cols": 80}',
    '{"type": "resize", "rows": "24", "cols": null}',
    b"\x00\x01",
]


async def test_hostile_messages(rest: Rest, service: SessionService) -> None:
    for message in HOSTILE:
        async with rest.socket("/stream/session/shelled/pty") as socket:
            await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
            while (said := await socket.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert (said.type, said.data) == (aiohttp.WSMsgType.CLOSE, 1008), message
    async with rest.socket("/stream/session/shelled/tcpproxy?app=echo") as socket:
        await socket.send_str("text")
        said = await socket.receive(timeout=30)
        assert (said.type, said.data) == (aiohttp.WSMsgType.CLOSE, 1008)


async def test_tunnels(rest: Rest, service: SessionService) -> None:
    apps = (await rest.send("GET", "/stream/session/shelled/apps")).json()
    assert [(app["name"], app["protocol"]) for app in apps] == [
        ("echo", "http"),
        ("ends", "http"),
        ("never", "http"),
        ("terminal", "http"),
    ]
    large = bytes(range(256)) * 16_384 * 2
    for route in ("tcpproxy", "httpproxy"):
        async with rest.socket(f"/stream/session/shelled/{route}?app=echo") as socket:
            sending = asyncio.create_task(_send(socket, large))
            got = b""
            while len(got) < len(large):
                message = await socket.receive(timeout=30)
                assert message.type is aiohttp.WSMsgType.BINARY
                got += message.data
            await sending
            assert got == large

    async with rest.socket("/stream/session/shelled/tcpproxy?app=ends") as socket:
        message = await socket.receive(timeout=30)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1013)

    row = await service.find("shelled")
    async with rest.socket("/stream/session/shelled/tcpproxy?app=echo") as socket:
        await socket.send_bytes(b"hello")
        assert (await socket.receive(timeout=30)).data == b"hello"
        stopped = await rest.send("POST", "/session/shelled/shutdown-service", {"service_name": "echo"})
        assert stopped.status_code == 204
        message = await socket.receive(timeout=30)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    assert len(kernels(row)) == 1, "the session goes on"
    unknown = await rest.send("POST", "/session/shelled/shutdown-service", {"service_name": "none"})
    assert (unknown.status_code, "echo" in unknown.json()["msg"]) == (404, True)
    async with rest.socket("/stream/session/shelled/tcpproxy?app=echo") as socket:
        await socket.send_bytes(b"again")
        assert (await socket.receive(timeout=30)).data == b"again", "it starts again when asked for"


async def _send(socket: WebSocket, data: bytes) -> None:
    for start in range(0, len(data), 200_000):
        await socket.send_bytes(data[start : start + 200_000])
