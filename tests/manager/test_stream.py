"""Code that is run over a WebSocket or by asking again and again, as the vendors' clients do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.manager.world import V8, Rest, WebSocket, run, says

pytestmark = pytest.mark.asyncio

OUTPUTS = """
import sys
from IPython.display import HTML, Image, display
print("out"); print("err", file=sys.stderr)
display(HTML("<b>bold</b>")); display(Image(data=b"\\x89PNG\\r\\n", format="png"))
6 * 7
"""


@pytest_asyncio.fixture
async def service(machine: Path) -> AsyncIterator[SessionService]:
    """The backends of this process, on the shared manager."""
    made = SessionService(JupyterSessions())
    yield made
    await made.close()


@pytest_asyncio.fixture
async def row(service: SessionService) -> SessionInfo:
    """A session."""
    return await run(service, "streamed", cwd="/")


@pytest_asyncio.fixture
async def rest(row: SessionInfo) -> AsyncIterator[Rest]:
    async with Rest(V8) as made:
        yield made


def ask(code: str = "", mode: str = "query", **options: Any) -> dict[str, Any]:
    return {"code": code, "mode": mode, "options": options}


async def follow(socket: WebSocket, *answers: str) -> list[dict[str, Any]]:
    """The frames up to the end of the run; questions are answered."""
    left, frames = list(answers), []
    while not frames or frames[-1]["status"] != "finished":
        frames.append(await socket.receive_json(timeout=30))
        if frames[-1]["status"] == "waiting-input":
            await socket.send_str(left.pop(0))
    return frames


async def code_of(socket: WebSocket) -> int | None:
    """The code with which the manager closes."""
    while (message := await socket.receive(timeout=30)).type is aiohttp.WSMsgType.TEXT:
        pass
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    return int(message.data)


def console(frames: list[dict[str, Any]]) -> list[list[Any]]:
    return [item for frame in frames for item in frame["console"]]


def text(frames: list[dict[str, Any]], kind: str = "stdout") -> str:
    return "".join(item[1] for item in console(frames) if item[0] == kind)


async def test_a_query_over_a_websocket(rest: Rest, service: SessionService, row: SessionInfo) -> None:
    where = f"/stream/session/{row.id}/execute"
    before = (await service.get("local", row.id)).num_queries or 0
    async with rest.socket(where) as socket:
        await socket.send_json(ask(OUTPUTS))
        frames = await follow(socket)
        assert await code_of(socket) == 1000
    assert (frames[-1]["exitCode"], frames[-1]["options"], frames[-1]["files"]) == (0, None, [])
    assert "runId" not in frames[-1]
    assert text(frames) == "out\n42\n"
    assert text(frames, "stderr") == "err\n"
    assert ["html", "<b>bold</b>"] in console(frames)
    assert [item[1][0] for item in console(frames) if item[0] == "media"] == ["image/png"]

    asks = "import getpass; print(input('name? ') + getpass.getpass('word? '))"
    async with rest.socket("/stream/kernel/streamed/execute") as socket:
        await socket.send_json(ask(asks))
        frames = await follow(socket, "Alice", "secret")
        assert text(frames) == "name? word? Alicesecret\n"
        waits = [frame["options"] for frame in frames if frame["status"] == "waiting-input"]
        assert waits == [{"is_password": False}, {"is_password": True}]

    async with rest.socket(where) as socket:
        await socket.send_json(ask("x = 5; 1 / 0"))
        frames = await follow(socket)
        assert (frames[-1]["exitCode"], "ZeroDivisionError" in text(frames, "stderr")) == (1, True)

    async with rest.socket(where) as socket:
        await socket.send_json(ask("import time; print('on'); time.sleep(60)"))
        assert (await socket.receive_json(timeout=30))["console"]
    assert await says(service, row, "print(x)") == "5", "who goes away interrupts, and no more than that"
    assert ((await service.get("local", row.id)).num_queries or 0) >= before + 4


async def test_one_websocket_for_many_runs(rest: Rest, service: SessionService, row: SessionInfo) -> None:
    """As this package's own clients use it: whole messages, and it stays open until the kernel ends."""
    where = f"/stream/session/{row.id}/execute"
    async with rest.socket(where) as socket:
        for number in range(3):
            await socket.send_json(ask(f"print({number})", messages=True))
            frames = await follow(socket)
            kind, message = console(frames)[0]
            assert (kind, message["content"]["text"]) == ("jupyter", f"{number}\n")
            assert frames[-1]["reply"]["status"] == "ok"
        await socket.send_json(ask("import time; print('on'); time.sleep(60)", messages=True))
        assert console([await socket.receive_json(timeout=30)])
        await service.interrupt("local", row.id)
        assert (await follow(socket))[-1]["reply"]["ename"] == "KeyboardInterrupt"
        await socket.send_json(ask("import time; time.sleep(60)", messages=True))
        await asyncio.gather(
            service.restart("local", row.id), closing := asyncio.ensure_future(follow(socket))
        )
        assert (closing.result()[-1]["exitCode"], await code_of(socket)) == (130, 1001)

    async with rest.socket(where) as socket:
        await socket.send_json(ask("import time; time.sleep(0.5); y = 7", messages=True))
    assert await says(service, row, "print(y)") == "7", "a reader that goes away is no reason to stop"
    async with rest.socket(where) as idle:
        await service.destroy("local", row.id)
        assert await code_of(idle) == 1001


async def test_a_batch_run(rest: Rest, row: SessionInfo, service: SessionService, tmp_path: Path) -> None:
    made = await run(service, "batch-run", cwd=str(tmp_path))
    where = f"/stream/session/{made.id}/execute"

    async def batch(**options: str | None) -> list[dict[str, Any]]:
        async with rest.socket(where) as socket:
            await socket.send_json(ask("", "batch", **options))
            return await follow(socket)

    frames = await batch(clean="echo clean", build="echo build; exit 0", exec="echo so; echo no >&2; exit 3")
    ends = [(frame["status"], frame["exitCode"]) for frame in frames if frame["status"] != "continued"]
    assert ends == [("clean-finished", 0), ("build-finished", 0), ("finished", 3)]
    assert (text(frames), text(frames, "stderr")) == ("clean\nbuild\nso\n", "no\n")

    frames = await batch(build="exit 4", exec="echo never")
    ends = [(frame["status"], frame["exitCode"]) for frame in frames if frame["status"] != "continued"]
    assert (ends, text(frames)) == ([("clean-finished", 0), ("build-finished", 4), ("finished", 127)], "")

    (tmp_path / "main.py").write_text(
        "import os, sys; print(os.getcwd(), sys.prefix, os.environ['BACKENDAI_SESSION_NAME'])"
    )
    frames = await batch(clean="*", build="*", exec="*")
    assert text(frames).split() == [
        str(tmp_path),
        await says(service, made, "import sys; print(sys.prefix)"),
        "batch-run",
    ]

    frames = await batch(exec="kill -9 $$")
    assert frames[-1]["exitCode"] == 137
    frames = await batch(exec="python -c 'print(\"é\" * 100_000)'; (sleep 100 &)")
    assert text(frames) == "é" * 100_000 + "\n", "what it leaves in the background is not waited for"
    assert not list(Path(str(tmp_path)).glob("run-*"))

    body = {"mode": "batch", "code": "", "runId": None, "options": {"exec": "echo slow; sleep 100"}}
    result = (await rest.send("POST", "/session/batch-run", body)).json()["result"]
    assert result["status"] == "clean-finished"
    assert (await rest.send("POST", "/session/batch-run/interrupt")).status_code == 204
    seen = [result["status"]]
    while result["status"] != "finished":
        go_on = {"mode": "continue", "code": "", "runId": result["runId"]}
        result = (await rest.send("POST", "/session/batch-run", go_on)).json()["result"]
        seen.append(result["status"])
        if result["console"]:
            await rest.send("POST", "/session/batch-run/interrupt")
    assert (seen[0], seen[1], result["exitCode"]) == ("clean-finished", "build-finished", 130)


async def test_completion(rest: Rest, row: SessionInfo, service: SessionService) -> None:
    where = f"/session/{row.name}"
    # The first completion of a kernel loads what it needs for it, which a busy machine may not do within the limit.
    await says(service, row, "_ = get_ipython().complete('pri')")

    async def completions(code: str, **options: Any) -> list[str]:
        answer = await rest.send("POST", f"{where}/complete", {"code": code, "options": options})
        assert answer.status_code == 200, answer.text
        assert answer.json()["result"]["status"] == "finished"
        return list(answer.json()["result"]["completions"])

    assert "print" in await completions("pri")
    assert "print" in await completions("pri\nx = 1", row=0, col=3)
    assert "print" in await completions("pri + 1", post=" + 1")
    assert await completions("no_such_thing_") == []
    body = {"mode": "complete", "code": "impor", "runId": "1", "options": {"row": -3, "col": "x"}}
    result = (await rest.send("POST", where, body)).json()["result"]
    assert (result["runId"], result["completions"]) == ("1", ["import"])


HOSTILE: list[tuple[str | bytes, int]] = [
    ("{", 1008),
    ("[]", 1008),
    ('{"code": 1}', 1008),
    ('{"mode": "complete"}', 1008),
    ('{"mode": "batch", "options": {"exec": ["ls"]}}', 1008),
    ('{"mode": "batch", "options": {"exec": "a\\u0000b"}}', 1008),
    ('{"options": "x"}', 1008),
    ('{"a":' * 3000, 1008),
    (b"\xff\x00", 1008),
]


async def test_hostile_messages(rest: Rest, service: SessionService, row: SessionInfo) -> None:
    where = f"/stream/session/{row.id}/execute"
    for message, code in HOSTILE:
        async with rest.socket(where) as socket:
            await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))
            said = await socket.receive(timeout=30)
            if isinstance(message, str) and code == 1008:
                assert "Traceback" not in said.data
                assert said.json()["status"] == "error", message[:50]
                assert await code_of(socket) == code
            else:
                assert (said.type, said.data) == (aiohttp.WSMsgType.CLOSE, code), message[:50]
    async with rest.socket(where) as socket:
        with suppress(ConnectionError):  # It may be cut off before all has been sent.
            await socket.send_str("x" * (33 * 1024**2))
            assert await code_of(socket) in (1009, 1006)
    for target, status in (
        (where, 400),
        ("/stream/session/nobody/execute", 404),
        (f"/stream/session/{row.id}/pty", 400),
        (f"/stream/session/{row.id}/tcpproxy?app=jupyter", 400),
        (f"/stream/session/{row.id}/httpproxy?app=nothing", 400),
        (f"/stream/session/{row.id}/tcpproxy?app=jupyter&arguments=x", 400),
        (f"/stream/session/{row.id}/tcpproxy?app=jupyter&envs=%5B1%5D", 400),
        (f"/session/{row.id}/commit", 501),
        (f"/session/{row.id}/abusing-report", 501),
        ("/session/_/logs?taskId=1", 501),
        ("/events/background-task?task_id=1", 501),
    ):
        answer = await rest.send("GET", target)
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), (
            target
        )
        assert {"type", "title", "msg"} <= answer.json().keys()
    assert await says(service, row, "print(1)") == "1"
