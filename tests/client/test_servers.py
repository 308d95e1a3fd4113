"""Which of the servers' files lead to a server of this user."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from jupyter_sessions.client import servers
from jupyter_sessions.commands import parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from tests.ports import free_port


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the files."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def other() -> Iterator[int]:
    """Another process of this user, that listens nowhere."""
    command = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process.pid


def write(runtime: Path, pid: int, url: str, name: str = "", **more: Any) -> None:
    """A file as Jupyter servers leave it."""
    file = runtime / f"jpserver-{name or pid}.json"
    file.write_text(json.dumps({"pid": pid, "url": url, "token": "t", **more}))
    file.chmod(0o600)


def test_only_who_listens_where_the_file_says_gets_credentials(runtime: Path, other: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as here:
        url = f"http://127.0.0.1:{here.getsockname()[1]}/"
        write(runtime, os.getpid(), url)
        write(runtime, other, url)  # Its process has ended, and its number is another's.
        assert [server.pid for server in servers.running()] == [os.getpid()]
        for elsewhere in (f"http://127.0.0.1:{free_port()}/", "http://127.0.0.1:port/", "http://127.0.0.1/"):
            write(runtime, os.getpid(), elsewhere)
            assert servers.running() == []
    for left in (json.dumps({"pid": os.getpid(), "url": url, "token": "t"}).encode(), b'{"url": "\xff"}'):
        (runtime / f"jpserver-{os.getpid()}.json").write_bytes(left)
        assert servers.running() == []


def test_so_with_sockets(runtime: Path, other: int) -> None:
    path = str(runtime / "s")
    with socket.socket(socket.AF_UNIX) as here:
        here.bind(path)
        here.listen()
        for pid in (os.getpid(), other):
            write(runtime, pid, "http+unix://s/", sock=path)
        assert [server.pid for server in servers.running()] == [os.getpid()]


@pytest.mark.asyncio
async def test_who_signs_out_learns_where_that_could_not_be_done(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(runtime / "data"))

    async def sign_out(request: web.Request) -> web.Response:
        what = request.path.split("/")[1]
        if what == "breaks":
            assert request.transport is not None
            request.transport.close()
        return web.Response(status={"done": 204, "absent": 404}.get(what, 500))

    app = web.Application()
    app.router.add_delete("/{what}/jupyter-sessions/backends/lab/sign-in", sign_out)
    said: list[str] = []
    async with TestServer(app) as server:
        for name in ("absent", "breaks", "done", "fails", "password"):
            token = "" if name == "password" else "t"
            write(runtime, os.getpid(), str(server.make_url(f"/{name}/")), name, token=token)
        service = SessionService(
            JupyterSessions(backends={"lab": {"type": "skaha", "url": "https://lab/skaha"}})
        )
        await perform(service, parse("logout lab"), said.append)
        await service.close()
        left = ", ".join(str(server.make_url(f"/{name}/")) for name in ("breaks", "fails", "password"))
    assert said == [
        "You are signed out of lab.",
        f"These Jupyter servers did not answer and may still keep your credentials: {left}.",
    ]
