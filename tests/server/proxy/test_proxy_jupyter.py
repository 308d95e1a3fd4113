"""A real Jupyter server as the service: the case that everything above is for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from jupyter_sessions.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Browser, FakeServices, Proxy


@pytest.fixture
def inner(
    proxy: Proxy, services: FakeServices, folder: Path, tmp_path: Path, wait_for: Callable[[str], None]
) -> Iterator[None]:
    """A Jupyter server on a unix socket, without a token, at the proxied path."""
    path = str(folder / f"{uuid.uuid4().hex[:6]}.sock")
    options = {
        "sock": path,
        "base_url": proxy.prefix("jupyter"),
        "root_dir": str(tmp_path),
        "disable_check_xsrf": True,
        "allow_root": True,
        "allow_remote_access": True,
        "open_browser": False,
    }
    arguments = [f"--ServerApp.{key}={value}" for key, value in options.items()]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "JPY"))}
    environment |= {"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "run")}
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", "--IdentityProvider.token=", *arguments],
        env=environment,
    )
    wait_for(path)
    services.endpoints["jupyter"] = Endpoint(socket=path)
    yield
    process.terminate()
    process.wait(20)


def execute_request(code: str) -> dict[str, object]:
    """A Jupyter message that runs code."""
    header = {"msg_id": uuid.uuid4().hex, "session": uuid.uuid4().hex, "username": "u"}
    header |= {"msg_type": "execute_request", "version": "5.3", "date": "2026-01-01T00:00:00Z"}
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}}
    rest = {"parent_header": {}, "metadata": {}, "buffers": [], "channel": "shell"}
    return {"header": header, "content": content, **rest}


async def first_result(ws: Any, code: str) -> str:
    """The text of the first result."""
    await ws.send_json(execute_request(code))
    while True:
        message = json.loads(await ws.receive_str())
        if message["header"]["msg_type"] == "execute_result":
            return message["content"]["data"]["text/plain"]


async def test_a_cell_runs(browser: Browser, inner: None) -> None:
    proxy = browser.proxy
    here = {"Origin": proxy.origin, "Sec-Fetch-Site": "same-origin"}
    answer = await browser.fetch("api/kernels", "POST", service="jupyter", data=b"{}", headers=here)
    assert answer.status == 201, answer.body
    kernel = answer.json["id"]
    assert answer.headers["Location"].startswith(proxy.prefix("jupyter"))
    url = proxy.url(f"api/kernels/{kernel}/channels?session_id=x", "jupyter")
    headers = {"Cookie": browser.cookie, "Origin": proxy.origin}
    async with browser.client.ws_connect(url, headers=headers) as ws:
        assert await first_result(ws, "6 * 7") == "42"
    protocols = ("v1.kernel.websocket.jupyter.org",)
    async with browser.client.ws_connect(url, headers=headers, protocols=protocols) as ws:
        assert ws.protocol == protocols[0]
    gone = await browser.fetch(f"api/kernels/{kernel}", "DELETE", service="jupyter", headers=here)
    assert gone.status == 204


async def test_the_inner_servers_cookies_stay_inside(
    browser: Browser, services: FakeServices, inner: None
) -> None:
    socket = services.endpoints["jupyter"].socket
    url = "http://x" + browser.proxy.prefix("jupyter") + "none"
    session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(socket))
    async with session as direct, direct.get(url) as answer:
        assert "_xsrf=" in str(answer.headers.getall("Set-Cookie"))
    answer = await browser.fetch("none", service="jupyter")
    assert answer.status == 404
    assert answer.headers.getall("Set-Cookie", []) == []
