"""Code run on managers of clusters: over their WebSocket, or where that is refused by asking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Output
from jupyter_sessions.errors import BackendUnavailable, BadAnswer, NotSupported
from tests.ports import free_port

pytestmark = pytest.mark.asyncio


class Manager:
    """Answers execute requests as managers 23.09 do: no run id on the WebSocket, and who waits for input says so each time."""

    def __init__(self, *, websockets: bool = True) -> None:
        self.websockets = websockets
        self.bodies: list[dict[str, Any]] = []

    async def about(self, request: web.Request) -> web.Response:
        """What it speaks."""
        return web.json_response({"version": "v7.20230615", "manager": "23.09.10"})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """One run."""
        if not self.websockets:
            raise web.HTTPBadRequest
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        if asked["code"] == "break":
            assert request.transport is not None
            request.transport.abort()
            return socket
        if asked["code"] in ("error", "not-implemented"):  # As 25.5 without an agent says for ever.
            while not socket.closed:
                await socket.send_json({"status": asked["code"], "msg": "no agent", "console": None})
                await asyncio.sleep(0.001)
            return socket
        await socket.send_json(frame("continued", ["stdout", "a"], ["media", ["image/png", "AA=="]]))
        if asked["code"] == "input?":
            await socket.send_json(frame("waiting-input", is_password=True))
            message = await socket.receive()
            assert message.type is WSMsgType.TEXT
            await socket.send_json(frame("continued", ["stdout", message.data]))
        await socket.send_json(frame("finished", code=int(asked["code"] == "fail")))
        await socket.close()
        return socket

    async def poll(self, request: web.Request) -> web.Response:
        """One step."""
        body = await request.json()
        self.bodies.append(body)
        if body["mode"] == "query":
            return result("continued", ["stdout", "a"])
        if body["mode"] == "input":
            return result("finished", ["stdout", body["code"]])
        await asyncio.sleep(0.1)
        return result("waiting-input")


def frame(status: str, *console: Any, code: int | None = None, **options: Any) -> dict[str, Any]:
    return {
        "status": status,
        "console": [*console] or None,
        "exitCode": code,
        "options": options or None,
        "files": [],
    }


def result(status: str, *console: Any) -> web.Response:
    return web.json_response(
        {"result": frame(status, *console, code=0) | {"runId": "r1", "console": [*console]}}
    )


@asynccontextmanager
async def backend(manager: Manager) -> AsyncIterator[BackendAI]:
    app = web.Application()
    app.add_routes(
        [
            web.get("/base/", manager.about),
            web.get("/base/stream/session/s1/execute", manager.stream),
            web.post("/base/session/s1", manager.poll),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    made = BackendAI("cluster", endpoint=f"http://127.0.0.1:{port}/base", access_key="A", secret_key="S")
    try:
        yield made
    finally:
        await made.close()
        await runner.cleanup()


async def run(backend: BackendAI, code: str, *answers: str) -> list[Output]:
    """The outputs of code; questions are answered."""
    left, outputs = list(answers), []
    async for output in backend.execute("s1", code, stdin=True):
        outputs.append(output)
        if output.kind == "input_request":
            await backend.input("s1", output.run, left.pop(0))
    return outputs


@pytest.mark.parametrize("websockets", [True, False])
async def test_input_is_asked_for_once(websockets: bool) -> None:
    manager = Manager(websockets=websockets)
    async with backend(manager) as made:
        outputs = await run(made, "input?", "b")
        kinds = [output.kind for output in outputs if output.kind != "display_data"]
        assert kinds == ["stream", "input_request", "stream", "reply"]
        assert [output.content["text"] for output in outputs if output.kind == "stream"] == ["a", "b"]
        assert outputs[-1].content == {"status": "ok"}
        seen = len(manager.bodies)
        await made.input("s1", outputs[-1].run, "late")
        assert [body["mode"] for body in manager.bodies[seen:]] == ["input"], "the manager says what is wrong"
    assert bool(seen) != websockets


async def test_slow_answers_are_waited_for() -> None:
    async with backend(Manager(websockets=False)) as made:
        outputs = []
        async for output in made.execute("s1", "input?", stdin=True):
            outputs.append(output)
            if output.kind == "input_request":
                answer = asyncio.get_running_loop().create_task(_late(made, output.run))
        await answer
    assert [output.kind for output in outputs] == ["stream", "input_request", "stream", "reply"]


async def _late(made: BackendAI, run: str) -> None:
    await asyncio.sleep(2.5)
    await made.input("s1", run, "b")


async def test_how_runs_end() -> None:
    async with backend(Manager()) as made:
        outputs = await run(made, "fail")
        assert outputs[1].content["data"] == {"image/png": "AA=="}
        assert outputs[-1].content["evalue"] == "exit code 1"
        for code, kind in (("error", BadAnswer), ("not-implemented", NotSupported)):
            with pytest.raises(kind, match="no agent"):
                await run(made, code)
        with pytest.raises(BackendUnavailable, match="broke off"):
            await run(made, "break")
        first, second = await asyncio.gather(run(made, "1"), run(made, "2"))
        assert first[-1].content == second[-1].content == {"status": "ok"}
