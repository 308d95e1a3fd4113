"""A Jupyter server with the extension, and the shared real manager (`machine`) behind it.

* `rest`: asks the server, by default with the server's own token.
* `extension`: the extension in the server.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pytest_jupyter.jupyter_server import *  # noqa: F403

from jupyter_sessions.wire import sse
from tests.server.described import Described

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from jupyter_sessions.server.app import SessionsExtension

SMALL = {"cpu": 1, "mem": "256m"}


class Rest:
    """The extension's REST API, as a program sees it. Whatever it answers has to be as the OpenAPI file says."""

    def __init__(self, client: httpx.AsyncClient, base_url: str) -> None:
        self.client = client
        self.base_url = base_url
        self.described = Described()

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """One request below our base path; a leading slash in `path` is below the server's."""
        where = self.base_url + (path[1:] if path.startswith("/") else f"jupyter-sessions/{path}")
        if body is not None:
            options["json"] = body
        response = await self.client.request(method, where, **options)
        if "jupyter-sessions" in where:
            self.described.check(response)
        return response

    async def json(
        self, method: str, path: str, body: Any = None, *, status: int = 200, **options: Any
    ) -> Any:
        """The JSON of an answer of that status."""
        response = await self.ask(method, path, body, **options)
        assert response.status_code == status, response.text
        assert response.headers["Content-Type"] == "application/json"
        return response.json() if response.content else None

    async def refused(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        """Status and body of an answer that must be an error of ours: one sentence and what to do."""
        response = await self.ask(method, path, body, **options)
        said = response.json()
        assert {"message", "reason"} <= said.keys() <= {"message", "reason", "hint", "field", "data"}, said
        assert said["message"].endswith((".", "!", "?")) and "Traceback" not in response.text, said
        return response.status_code, said

    async def create(self, name: str, **spec: Any) -> dict[str, Any]:
        """A new session's row."""
        asked = {"name": name, "image": "python", "resources": SMALL, **spec}
        return dict(await self.json("POST", "sessions", asked, status=202))

    async def running(self, name: str, **spec: Any) -> dict[str, Any]:
        """A session that runs."""
        return await self.until(await self.create(name, **spec), "RUNNING")

    async def end(self, row: dict[str, Any], *, forced: bool = False) -> dict[str, Any]:
        """Its row once it was told to end: 202 while it does, 200 if it has by then."""
        path = f"sessions/{row['backend']}/{row['id']}"
        response = await self.ask("DELETE", f"{path}?forced=true" if forced else path)
        ending = dict(response.json())
        assert (response.status_code, ending["status"]) in ((202, "TERMINATING"), (200, "TERMINATED")), ending
        return ending

    async def until(self, row: dict[str, Any], status: str) -> dict[str, Any]:
        """Its row, once it has that status."""
        deadline = time.monotonic() + 30
        while row["status"] != status:
            assert time.monotonic() < deadline, row
            assert row["status"] != "ERROR", row
            await asyncio.sleep(0.03)
            row = await self.json("GET", f"sessions/{row['backend']}/{row['id']}")
        return row

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, body: Any = None
    ) -> AsyncIterator[AsyncIterator[sse.ServerEvent]]:
        """Server-sent events as they come."""
        where = f"{self.base_url}jupyter-sessions/{path}"
        async with self.client.stream(method, where, json=body, timeout=20) as response:
            assert response.status_code == 200, await response.aread()
            assert response.headers["Content-Type"] == "text/event-stream"
            yield self._checked(response)

    async def _checked(self, response: httpx.Response) -> AsyncIterator[sse.ServerEvent]:
        async for event in sse.parse(response.aiter_lines()):
            self.described.check_event(response, event.name, event.data)
            yield event

    async def run(self, row: dict[str, Any], code: str, **options: Any) -> list[dict[str, Any]]:
        """All outputs of code, the reply last."""
        path = f"sessions/{row['backend']}/{row['id']}/execute"
        async with self.stream("POST", path, {"code": code, **options}) as events:
            return [event.json() async for event in events if event.name == "output"]


@pytest.fixture
def jupyter_sessions_config() -> dict[str, Any]:
    """Configuration of the extension; override it."""
    return {}


@pytest.fixture
def jp_server_config(machine: Path, jupyter_sessions_config: dict[str, Any]) -> dict[str, Any]:
    """The extension, and nothing else that a test does not need."""
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_sessions": True}},
        "IdentityProvider": {"token": "the-servers-own-token"},
        "JupyterSessions": jupyter_sessions_config,
    }


@pytest.fixture
def extension(
    jp_serverapp: ServerApp, http_server: object, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> SessionsExtension:
    """The extension, started as the server does it."""
    jp_asyncio_loop.run_until_complete(jp_serverapp.extension_manager.start_all_extensions())
    (app,) = jp_serverapp.extension_manager.extension_apps["jupyter_sessions"]
    return app


@pytest.fixture
def rest(
    extension: SessionsExtension,
    jp_serverapp: ServerApp,
    http_server_port: Any,
    jp_asyncio_loop: asyncio.AbstractEventLoop,
) -> Iterator[Rest]:
    """The REST API, with the server's own token."""
    base_url = f"http://127.0.0.1:{http_server_port[1]}{jp_serverapp.base_url}"
    headers = {"Authorization": f"token {jp_serverapp.identity_provider.token}"}

    async def make() -> httpx.AsyncClient:
        return httpx.AsyncClient(headers=headers, timeout=30, trust_env=False)

    client = jp_asyncio_loop.run_until_complete(make())
    yield Rest(client, base_url)
    jp_asyncio_loop.run_until_complete(client.aclose())
