"""Folders of the configuration in a session, its own working folder, and ports of its programs."""

from __future__ import annotations

import socket
from pathlib import Path

import aiohttp
import pytest

from jupyter_sessions.errors import InvalidRequest, NotFound
from jupyter_sessions.model import Endpoint
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.proxy.upstream import client, url
from tests.manager.world import SMALL, V8, Rest, ask, configure, kill_manager, run, says
from tests.ports import free_port

pytestmark = pytest.mark.asyncio

SERVE = """
import threading, http.server, os
class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(self.path.encode())
    def log_message(self, *args): pass
server = http.server.HTTPServer(('', int(os.environ['BACKENDAI_PREOPEN_PORTS'])), Hello)
threading.Thread(target=server.serve_forever, daemon=True).start()
"""


async def test_folders(state: Path, service: SessionService, tmp_path: Path) -> None:
    data, tools, work = tmp_path / "the data", tmp_path / "tools", tmp_path / "work"
    for folder in (data, tools, work):
        folder.mkdir()
    (data / "file").write_text("inside")
    settings = {
        "data": str(data),
        "tools": {"path": str(tools), "read_only": True},
        "gone": str(tmp_path / "gone"),
    }
    configure(state, folders=settings)

    mounts = {"mounts": ["data", "tools"], "mount_map": {"tools": "/home/work/lib/tools"}}
    row = await run(service, "has-folders", cwd=str(work), **mounts)
    assert row.mounts == ["data", "tools"]
    assert row.limits["folders"] == "links; read-only by convention: tools"
    assert (
        await says(service, row, "import os; print(open('data/file').read(), os.path.isdir('lib/tools'))")
        == "inside True"
    )
    await says(service, row, "open('data/new', 'w').close()")
    assert (data / "new").exists()
    again = await run(service, "has-them-too", cwd=str(work), mounts=["data"])  # The link is there.
    assert await says(service, again, "print(open('data/file').read())") == "inside"

    (work / "taken").write_text("mine")
    for fields, why in (
        ({"mounts": ["nowhere"]}, "There is no folder 'nowhere' to mount. Choose from: data, gone, tools."),
        ({"mounts": ["gone"]}, "The folder 'gone' does not exist"),
        ({"mounts": ["data"], "mount_map": {"data": "taken"}}, "/taken exists already"),
        (
            {"mounts": ["tools"], "mount_map": {"tools": "data/tools"}},
            "/data exists already",
        ),
        ({"mounts": ["data"], "mount_map": {"data": "../data"}}, "outside of the working folder"),
        ({"mounts": ["data"], "mount_map": {"data": "/etc/data"}}, "outside of the working folder"),
        ({"mounts": ["data"], "mount_map": {"data": "."}}, "outside of the working folder"),
        (
            {"mounts": ["data", "tools"], "mount_map": {"tools": "data"}},
            "'data' overlaps the one at 'data'",
        ),
        ({"mounts": ["data", "tools"], "mount_map": {"tools": "data/tools"}}, "'data/tools' overlaps"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            await ask(service, "refused", cwd=str(work), **fields)
    assert (work / "taken").read_text() == "mine"
    assert sorted(row.name for row in (await service.list()).sessions) == ["has-folders", "has-them-too"]


async def test_a_working_folder_of_its_own(shared: SessionService) -> None:
    """Asked for over the wire a session has one, which a restart keeps."""
    await shared.backend("local").capacity()
    async with Rest(V8) as rest:
        body = {
            "name": "has-its-own",
            "image": "python",
            "config": {"resources": SMALL, "resource_opts": {"shmem": "64m"}},
        }
        made = (await rest.send("POST", "/session", body)).json()
        row = await shared.get("local", made["sessionId"])
        assert row.cwd is not None and row.id in row.cwd
        assert row.resource_opts == {"shmem": str(64 * 1024**2)}
        assert row.limits["shmem"] == "counts as memory, not limited by itself"
        assert (
            await says(shared, row, "open('kept', 'w').write('yes'); import os; print(os.getcwd())")
            == row.cwd
        )
        await shared.restart("local", row.id)
        assert await says(shared, row, "print(open('kept').read())") == "yes"


async def test_ports(shared: SessionService, tmp_path: Path) -> None:
    port = free_port()
    row = await run(shared, "has-a-port", preopen_ports=[port], cwd=str(tmp_path))
    (opened,) = [one for one in row.services if one.name == str(port)]
    assert (opened.protocol, opened.ports) == ("preopen", [port])
    early = await shared.open_service("local", row.id, str(port), "/base/")
    assert early.at_root and early.hands_over
    with pytest.raises(aiohttp.ClientConnectorError):
        await get(early, "/hello")
    await says(shared, row, SERVE)
    assert await get(early, "/hello") == "/hello"
    await kill_manager()
    endpoint = await shared.open_service("local", row.id, str(port), "/base/")
    assert await get(endpoint, "/hello") == "/hello"

    with pytest.raises(InvalidRequest, match=f"{port} of this machine is used by the session 'has-a-port'"):
        await ask(shared, "same-port", preopen_ports=[port])
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        other = stranger.getsockname()[1]
        with pytest.raises(InvalidRequest, match=f"{other} of this machine is used by another program"):
            await ask(shared, "same-port", preopen_ports=[other])
    with pytest.raises(NotFound, match="Choose from: jupyter"):
        await shared.open_service("local", row.id, "8", "/base/")

    await says(shared, row, "server.shutdown(); server.server_close()")
    assert await shared.service_log("local", row.id, str(port)) == ""
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(aiohttp.ClientConnectorError):
            await get(endpoint, "/hello")
        assert "a program outside of this session" in await shared.service_log("local", row.id, str(port))


async def get(endpoint: Endpoint, path: str) -> str:
    """What a service answers."""
    async with client(endpoint) as http, http.get(url(endpoint, path)) as answer:
        return await answer.text()
