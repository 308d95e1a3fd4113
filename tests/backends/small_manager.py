"""A manager of Backend.AI as small as may be, for what real ones do not do at will: fail, be slow, forget who asks.

async with serving(SmallManager()) as url:
    lab = BackendAI("lab", endpoint=url, access_key="A", secret_key="S")
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PROBLEMS = "https://api.backend.ai/probs/"


def problem(status: int, kind: str, title: str, **headers: str) -> web.Response:
    """An error as managers say it."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response({"type": PROBLEMS + kind, "title": title}, status=status, headers=named)


class SmallManager:
    """Its sessions are `rows`, as GraphQL tells them; what a create request is answered is up to `create`.

    With `signed_in` it is a web server, whose cookies are the members of that set.
    """

    def __init__(self, *, web_server: bool = False) -> None:
        self.rows: list[dict[str, Any]] = []
        self.seen: list[str] = []
        self.create: Handler = self.make
        self.login: Handler = self.let_in
        self.get: Handler | None = None
        self.signed_in: set[str] | None = set() if web_server else None
        self._numbers = itertools.count(1)

    def count(self, start: str) -> int:
        """How many requests began like this, for example "POST /session"."""
        return sum(request.startswith(start) for request in self.seen)

    def row(self, name: str, image: str = "cr/python:3", status: str = "RUNNING") -> dict[str, Any]:
        """One more session."""
        uid = f"00000000-0000-0000-0000-{next(self._numbers):012}"
        made = {"id": uid, "name": name, "image": image, "status": status, "access_key": "A"}
        made |= {"created_at": "2020-01-01T00:00:00+00:00"}
        self.rows.append(made)
        return made

    def app(self) -> web.Application:
        """All its routes."""
        prefix = "" if self.signed_in is None else "/func"
        app = web.Application(middlewares=[self._watch])
        app.router.add_get(f"{prefix}/", self._version)
        app.router.add_post(f"{prefix}/admin/gql", self._query)
        app.router.add_post(f"{prefix}/session", self._create)
        app.router.add_get(f"{prefix}/stream/session/{{id}}/apps", self._apps)
        app.router.add_get(f"{prefix}/stream/session/{{id}}/tcpproxy", self._tcpproxy)
        app.router.add_get(f"{prefix}/stream/session/{{id}}/execute", self._execute)
        app.router.add_post("/server/login", self._login)
        return app

    async def make(self, request: web.Request) -> web.Response:
        """A new session, as it was asked for."""
        body = await request.json()
        made = self.row(body["name"], body["image"], "PENDING")
        return web.json_response({"sessionId": made["id"], "status": "PENDING", "created": True}, status=201)

    async def let_in(self, request: web.Request) -> web.Response:
        """A new cookie."""
        assert self.signed_in is not None and "Cookie" not in request.headers
        cookie = f"c{next(self._numbers)}"
        self.signed_in.add(cookie)
        response = web.json_response({"authenticated": True, "data": {"access_key": "A"}})
        response.set_cookie("AIOHTTP_SESSION", cookie)
        return response

    async def _create(self, request: web.Request) -> web.StreamResponse:
        return await self.create(request)

    async def _login(self, request: web.Request) -> web.StreamResponse:
        return await self.login(request)

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.path}")
        asks = self.signed_in is not None and request.path not in ("/func/", "/server/login")
        if asks and request.cookies.get("AIOHTTP_SESSION") not in (self.signed_in or ()):
            return problem(401, "auth-failed", "Unauthorized access")
        return await handler(request)

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "v8.20240915", "manager": "25.5.2"})

    async def _query(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        text, given = body["query"], body["variables"]
        if "compute_session(" in text and self.get is not None:
            return await self.get(request)
        data: dict[str, Any] = {
            "compute_session": next((row for row in self.rows if row["id"] == given.get("id")), None),
            "groups": [{"id": "g", "name": "default"}],
            "keypair": {"access_key": "A"},
            "images": [{"registry": "cr", "name": "python", "tag": "3", "aliases": ["python"]}],
        }
        wanted = str(given.get("filter") or "").removeprefix('name == "').removesuffix('"')
        items = [row for row in self.rows if wanted in ("", row["name"])]
        data["compute_session_list"] = {"items": items, "total_count": len(items)}
        return web.json_response({"data": data})

    async def _apps(self, request: web.Request) -> web.Response:
        await asyncio.sleep(0.05)  # So that two who ask do it at the same time.
        return web.json_response([{"name": name} for name in ("one", "two")])

    async def _tcpproxy(self, request: web.Request) -> web.StreamResponse:
        """Each service says its name."""
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(request.query["app"].encode())
        async for message in socket:
            assert message.type is WSMsgType.BINARY
        return socket

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        said = {"status": "finished", "console": [["stdout", asked["code"]]], "exitCode": 0}
        await socket.send_json(said)
        await socket.close()
        return socket


@asynccontextmanager
async def serving(manager: SmallManager) -> AsyncIterator[str]:
    """The URL of a manager."""
    async with TestServer(manager.app()) as server:
        yield str(server.make_url("")).rstrip("/")
