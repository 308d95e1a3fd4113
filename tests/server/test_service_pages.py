"""Services of real sessions through the server: a plug-in, and the terminal."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.server.conftest import Rest
from tests.waiting import until

PLUGINS = {"PYTHONPATH": str(Path(__file__).parents[1] / "resources" / "service_plugins")}
"""The environment of sessions that have the plug-ins of a small distribution."""


@pytest.fixture
def jp_server_config(jp_server_config: Any) -> Any:
    """Configure services as for jupyter-server-proxy, which is not installed."""
    server = {"command": ["sh", "-c", "echo {{braces}} {port}; exit 3"], "launcher_entry": {"title": "Mine"}}
    servers = {"mine": server, "called": {"command": lambda port: ["true"]}, "not a name": server}
    return jp_server_config | {"ServerProxy": {"servers": servers}}


@asynccontextmanager
async def program(rest: Rest) -> AsyncIterator[aiohttp.ClientSession]:
    """A program with the server's token."""
    async with aiohttp.ClientSession(
        headers={"Authorization": rest.client.headers["Authorization"]}
    ) as session:
        yield session


async def listed(rest: Rest, row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services of a session by name, once its plug-ins are known."""

    async def known() -> dict[str, Any]:
        answer = await rest.json("GET", f"sessions/local/{row['id']}/services")
        found = {one["name"]: one for one in answer["services"]}
        return found if "by-port" in found else {}

    found: dict[str, dict[str, Any]] = await until(known)
    return found


@pytest.mark.real
async def test_a_plugin_through_the_server(rest: Rest) -> None:
    row = await rest.running("serves", environ=PLUGINS)
    async with program(rest) as http:
        await try_plugin(rest, row, http)


async def try_plugin(rest: Rest, row: dict[str, Any], http: aiohttp.ClientSession) -> None:
    services = await listed(rest, row)
    assert services["by-port"]["title"] == "Tiny one"
    url = f"{rest.base_url}{services['by-port']['url']}"
    async with http.get(URL(url, encoded=True)) as answer:
        said = await answer.json()
    assert said["path"] == "/hello?a=1"
    sent = {name.lower(): value for name, value in said["headers"].items()}
    prefix = url[url.index("/", 8) :].partition("/hello")[0]
    assert sent["x-forwarded-prefix"] == sent["x-proxycontextpath"] == prefix
    assert sent["x-tiny"].isdigit()
    assert not {"authorization", "cookie"} & sent.keys()
    assert said["link"] == f"{prefix}/page", "paths of its own are translated"
    async with http.get(
        URL(f"{url.partition('/hello')[0]}/away", encoded=True), allow_redirects=False
    ) as answer:
        assert answer.headers["Location"] == f"{prefix}/home"
    await rest.ask("DELETE", f"sessions/local/{row['id']}/services/by-port")
    async with http.get(URL(url, encoded=True)) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (409, "ServiceEnded")
    place = f"sessions/local/{row['id']}/services/by-port"
    await rest.json("POST", place, {"arguments": {"greeting": "servus"}}, status=202)
    async with http.get(URL(url, encoded=True)) as answer:
        assert (await answer.json())["greeting"] == "servus"


@pytest.mark.real
async def test_what_is_configured_is_a_service(rest: Rest) -> None:
    row = await rest.running("configured", environ=PLUGINS)
    services = await listed(rest, row)
    assert services["mine"]["title"] == "Mine"
    assert "not a name" not in services
    assert "is configured with a function (command)" in services["called"]["ended"]
    place = f"sessions/local/{row['id']}/services/mine"
    await rest.json("POST", place, status=202)

    async def failed() -> bool:
        return (await listed(rest, row))["mine"]["state"] == "failed"

    await until(failed)
    assert (await rest.json("GET", f"{place}/log"))["logs"].startswith("{braces} ")


@pytest.mark.real
async def test_a_terminal_without_any_package(rest: Rest) -> None:
    row = await rest.running("shelled", environ=PLUGINS | {"SHELL": "/bin/sh", "PS1": "> "})
    async with program(rest) as http:
        await try_terminal(rest, row, http)


async def try_terminal(rest: Rest, row: dict[str, Any], http: aiohttp.ClientSession) -> None:
    services = await listed(rest, row)
    assert (services["terminal"]["title"], services["terminal"]["state"]) == ("Terminal", "not started")
    url = f"{rest.base_url}{services['terminal']['url']}"
    async with http.get(URL(url, encoded=True)) as answer:
        page = await answer.text()
        assert "Terminal of session shelled" in page
        assert any("script-src 'self'" in one for one in answer.headers.getall("Content-Security-Policy"))
    for name in ("xterm.js", "xterm.css", "addon-fit.js", "terminal.js", "terminal.css"):
        async with http.get(URL(url + name, encoded=True)) as answer:
            assert (answer.status, name in page or name) == (200, True)
    async with http.ws_connect(URL(f"{url}websocket", encoded=True)) as socket:
        await socket.send_json(["set_size", 33, 77])
        await socket.send_json(["stdin", 3])  # Nonsense is ignored.
        await socket.send_str("{")
        await socket.send_json(["stdin", "stty size; echo $BACKENDAI_SESSION_NAME-ü; pwd\r"])
        shown = await read_until(socket, row["cwd"])
        assert "33 77" in shown
        assert "shelled-ü" in shown
        assert (await listed(rest, row))["terminal"]["state"] == "ready"
    async with http.ws_connect(URL(f"{url}websocket", encoded=True)) as socket:
        assert "shelled-ü" in await read_until(socket, "shelled-ü"), "another viewer sees what was shown"
        await socket.send_json(["stdin", "exit\r"])
        await read_until(socket, "disconnect")
    assert (await listed(rest, row))["terminal"]["state"] == "not started"
    second = url.replace("/terminal/", "/terminal:2/")
    async with http.ws_connect(URL(f"{second}websocket", encoded=True)) as socket:
        await socket.send_json(["stdin", "echo second-$((40+2))\r"])
        await read_until(socket, "second-42")


async def read_until(socket: aiohttp.ClientWebSocketResponse, wanted: str) -> str:
    """All that a terminal shows until something wanted comes."""
    shown = ""
    while wanted not in shown:
        kind, text = json.loads(await socket.receive_str(timeout=20))
        shown += text if kind == "stdout" else kind
    return shown
