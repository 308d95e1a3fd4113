"""What a kernel says is heard in full, at once by who waits for it and in gatherings otherwise."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq
from jupyter_client.session import Session

from jupyter_sessions.channels.iopub import GATHER_SECONDS, Iopub
from jupyter_sessions.channels.relay import Relay
from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.channels.relay_targets import ZmqBackEnd

pytestmark = pytest.mark.asyncio

MANY = 1000


async def test_nothing_is_lost_and_nobody_waits_in_vain() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    kernel, ear = context.socket(zmq.PUB), context.socket(zmq.SUB)
    for socket in (kernel, ear):
        socket.set_hwm(0)
    kernel.bind("inproc://kernel")
    ear.subscribe(b"")
    ear.connect("inproc://kernel")
    session = Session(key=b"key")
    heard: list[tuple[float, dict[str, Any]]] = []
    waiting = False
    iopub = Iopub(ear, lambda message: heard.append((time.monotonic(), message)), lambda: waiting)

    async def said(*contents: Any) -> list[float]:
        """How long after they were said messages of these contents were heard, in seconds."""
        heard.clear()
        await asyncio.sleep(3 * GATHER_SECONDS)
        began = time.monotonic()
        for content in contents:
            session.send(kernel, "stream", content, ident=b"topic", buffers=[b"\x00\xff"])
        while len(heard) < len(contents):
            assert time.monotonic() < began + 20
            await asyncio.sleep(0.001)
        assert [message["content"] for _, message in heard] == list(contents)
        return [when - began for when, _ in heard]

    try:
        assert (await said({"text": "first"}))[0] >= GATHER_SECONDS / 2
        gathered = await said(*({"text": f"line {number}"} for number in range(MANY)))
        assert gathered[0] >= GATHER_SECONDS / 2
        waiting = True
        at_once = [(await said({"text": "waited for"}))[0] for _ in range(5)]
        assert min(at_once) < GATHER_SECONDS / 2
        await said({"text": "\U0001f40d ü"}, {"data": {"text/plain": "[]"}})
        message = heard[0][1]
        assert (message["msg_type"], message["header"]["msg_type"]) == ("stream", "stream")
        assert message["buffers"] == [b"\x00\xff"]
        kernel.send_multipart([b"no", b"message"])
        kernel.send_multipart([b"", b"<IDS|MSG>", b"", b"[]", b"{}", b"{}", b"{}"])
        header = json.dumps(session.msg_header("stream"), default=str).encode()
        kernel.send_multipart([b"", b"<IDS|MSG>", b"", header, b"{}", b"{}", b'{"text": "\xff", "n": NaN}'])
        heard.clear()
        await asyncio.sleep(3 * GATHER_SECONDS)
        ((_, odd),) = heard
        assert odd["content"]["text"] == "\ufffd"
        assert odd["content"]["n"] != odd["content"]["n"]
    finally:
        iopub.close()
        kernel.close()
        context.term()


@pytest.mark.parametrize("late", [0.0, 0.02, 0.1])
async def test_going_over_to_the_relay_loses_nothing(tmp_path: Path, late: float) -> None:
    """While a kernel speaks all the time, and the relay begins to hear it as it may."""
    stem, said = str(tmp_path / "kernel"), 0
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    kernel, ear = context.socket(zmq.PUB), context.socket(zmq.SUB)
    for socket in (kernel, ear):
        socket.set_hwm(0)
    kernel.bind(f"ipc://{stem}-{CHANNELS['iopub']}")
    ear.subscribe(b"")
    ear.connect(f"ipc://{stem}-{CHANNELS['iopub']}")
    await asyncio.sleep(0.2)
    session, heard = Session(key=b"key"), list[int]()
    iopub = Iopub(ear, lambda message: heard.append(message["content"]["number"]), lambda: False)
    relay = Relay(str(tmp_path / "front"), b"key", ZmqBackEnd(stem), lambda request, owner: None)

    async def speak(true: Callable[[], bool]) -> None:
        nonlocal said
        deadline = time.monotonic() + 20
        while true() and time.monotonic() < deadline:
            for _ in range(10):
                session.send(kernel, "stream", {"number": said}, ident=b"topic")
                said += 1
            await asyncio.sleep(0.001)

    async def go_over() -> None:
        await asyncio.sleep(late)
        relay.open()
        await asyncio.sleep(late)
        iopub.turn(relay.heard)

    try:
        await asyncio.gather(speak(lambda: not ear.closed), go_over())
        assert ear.closed
        enough = said + 500
        await speak(lambda: said < enough)
        deadline = time.monotonic() + 20
        while len(heard) < said and time.monotonic() < deadline:
            await asyncio.sleep(GATHER_SECONDS)
        assert heard == list(range(said))
    finally:
        iopub.close()
        kernel.close()
        relay.close()
        context.term()


async def test_what_cannot_be_taken_deafens_nobody() -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    kernel, ear = context.socket(zmq.PUB), context.socket(zmq.SUB)
    kernel.bind("inproc://kernel")
    ear.subscribe(b"")
    ear.connect("inproc://kernel")
    session, heard = Session(key=b"key"), list[int]()

    def take(message: dict[str, Any]) -> None:
        heard.append(message["content"]["number"])

    iopub = Iopub(ear, take, lambda: False)
    try:
        for number in range(3):
            session.send(kernel, "stream", {"number": number}, ident=b"topic")
            session.send(kernel, "stream", {"none": number}, ident=b"topic")
            kernel.send_multipart([b"", b"<IDS|MSG>", b"", b"{}", b"{}", b"{}", b"[" * 100_000])
            await asyncio.sleep(3 * GATHER_SECONDS)
        assert heard == [0, 1, 2]
    finally:
        iopub.close()
        kernel.close()
        context.term()
