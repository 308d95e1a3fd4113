"""A Jupyter server with the proxy's routes, and real little services behind them.

* `proxy`: the server, reached as a script with its token (`fetch`), or by hand.
* `browser`: a client with the server's cookies and what browsers say about themselves.
* `services`: what the proxy asks for endpoints; tests tell it what to answer.
* `memory`: watches the memory of the server under test.
* `tiny`: the tiny service on a unix socket, `tiny_tcp`: on a port.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import psutil
import pytest
from pytest_jupyter.jupyter_server import *  # noqa: F403
from yarl import URL

from jupyter_sessions.errors import SessionError
from jupyter_sessions.model import Endpoint, Service, SessionInfo
from jupyter_sessions.server.proxy import SERVICES_KEY, handlers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_server.serverapp import ServerApp

RESOURCES = Path(__file__).parents[2] / "resources"
SESSION = "0123-session"


@dataclass
class FakeServices:
    """Endpoints by service name; an error in their place is raised."""

    endpoints: dict[str, Endpoint | Exception] = field(default_factory=dict)
    log: str = "first line\n<script>alert(1)</script>"
    services: list[Service] = field(default_factory=list)
    opened: list[tuple[str, ...]] = field(default_factory=list)
    touched: list[tuple[str, str]] = field(default_factory=list)

    async def open_service(self, backend: str, id: str, name: str, base_url: str) -> Endpoint:
        """The endpoint a test has set."""
        self.opened.append((backend, id, name, base_url))
        found = self.endpoints[name]
        if isinstance(found, Exception):
            raise found
        return found

    async def get(self, backend: str, id: str) -> SessionInfo:
        """The session, with the services a test has set."""
        return SessionInfo(
            backend=backend,
            id=id,
            name="demo",
            image="python3",
            type="interactive",
            status="RUNNING",
            status_info="",
            resources={},
            services=self.services,
            created_at=None,
        )

    async def record_use(self, backend: str, id: str) -> None:
        """Note it."""
        self.touched.append((backend, id))

    async def service_log(self, backend: str, id: str, name: str) -> str:
        """The log a test has set."""
        if not self.log:
            raise SessionError("no log")
        return self.log


@dataclass
class Proxy:
    """The server under test; paths are relative to the service `tiny` unless it is named."""

    app: ServerApp
    port: int
    token: str
    client: aiohttp.ClientSession

    @property
    def host(self) -> str:
        """Host and port, as in the Host header."""
        return f"127.0.0.1:{self.port}"

    @property
    def origin(self) -> str:
        """The server's origin."""
        return f"http://{self.host}"

    def prefix(self, service: str = "tiny") -> str:
        """The path of a service."""
        return f"{self.app.base_url}jupyter-sessions/services/local/{SESSION}/{service}/"

    def url(self, path: str = "echo", service: str = "tiny") -> Any:
        """The URL of a path in a service, not to be touched by the client."""
        return URL(self.origin + self.prefix(service) + path, encoded=True)

    @property
    def navigation(self) -> dict[str, str]:
        """What a browser says when a person opens a page."""
        return {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"}

    @contextmanager
    def settings(self, **changes: Any) -> Iterator[None]:
        """The server's settings changed for a while."""
        current = self.app.web_app.settings
        before = dict(current)
        current.update(changes)
        yield
        current.clear()
        current.update(before)

    @property
    def auth(self) -> dict[str, str]:
        """A script's credentials."""
        return {"Authorization": f"token {self.token}"}

    def ask(self, path: str = "echo", method: str = "GET", service: str = "tiny", **kw: Any) -> Any:
        """A request with the token; use with `async with`."""
        headers = {**self.auth, **kw.pop("headers", {})}
        kw.setdefault("allow_redirects", False)
        return self.client.request(method, self.url(path, service), headers=headers, **kw)

    async def fetch(self, path: str = "echo", method: str = "GET", **kw: Any) -> Answer:
        """A whole answer to a request with the token."""
        async with self.ask(path, method, **kw) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    def connect(self, path: str = "socket", headers: dict[str, str] | None = None, **kw: Any) -> Any:
        """A WebSocket with the token; use with `async with`."""
        return self.client.ws_connect(self.url(path), headers={**self.auth, **(headers or {})}, **kw)

    async def visit(self, path: str = "", **kw: Any) -> Answer:
        """A whole answer for a person who opens the page."""
        return await self.fetch(path, headers=self.navigation, **kw)

    async def raw(self, head: str, body: bytes = b"") -> bytes:
        """The whole answer to a request written byte by byte."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [head, f"Host: {self.host}", f"Authorization: token {self.token}"]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin1") + body)
        answer = await reader.read()
        writer.close()
        return answer


@dataclass
class Answer:
    """An answer that has been read."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def sent(self) -> dict[str, str]:
        """The header the tiny service's echo saw, lower-case names."""
        return {name.lower(): value for name, value in self.json["headers"]}


@dataclass
class Browser:
    """A client that is logged in by cookie and says what browsers say."""

    proxy: Proxy
    client: aiohttp.ClientSession
    secrets: dict[str, str]

    @property
    def cookie(self) -> str:
        """The Cookie header a browser would send."""
        return "; ".join(f"{name}={value}" for name, value in self.secrets.items())

    async def fetch(self, path: str = "echo", method: str = "GET", **kw: Any) -> Answer:
        """A request with the cookies and no token."""
        headers = {"Cookie": self.cookie, **kw.pop("headers", {})}
        service = kw.pop("service", "tiny")
        kw.setdefault("allow_redirects", False)
        url = self.proxy.url(path, service)
        async with self.client.request(method, url, headers=headers, **kw) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    def connect(self, path: str = "socket", headers: dict[str, str] | None = None) -> Any:
        """A WebSocket with the cookies and no token."""
        sent = {"Cookie": self.cookie, **(headers or {})}
        return self.client.ws_connect(self.proxy.url(path), headers=sent)


class Memory:
    """Memory of this process, which holds the server under test and the clients."""

    def __init__(self) -> None:
        self.start = self.most = psutil.Process().memory_info().rss

    def look(self) -> None:
        """Take note of how much it is now."""
        self.most = max(self.most, psutil.Process().memory_info().rss)

    def stayed_flat(self) -> bool:
        """Whether it never grew by 24 MiB, next to nothing beside what has passed through."""
        self.look()
        return self.most - self.start < 24 << 20


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """The tiny service as a process."""
    process = subprocess.Popen([sys.executable, str(RESOURCES / "tiny_service.py"), *arguments])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait_for(address: str | tuple[str, int]) -> None:
    """Wait until somebody listens."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    deadline = time.monotonic() + 60
    while True:
        with socket.socket(family) as probe:
            if probe.connect_ex(address) == 0:
                return
        assert time.monotonic() < deadline, f"nobody listens at {address}"
        time.sleep(0.05)


@pytest.fixture
def memory() -> Callable[[], Memory]:
    """Call it to begin watching the memory of the server under test."""
    return Memory


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="jsp") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def tiny(folder: Path) -> Iterator[Endpoint]:
    """The tiny service on a unix socket."""
    path = str(folder / "tiny.sock")
    with _running("--socket", path):
        _wait_for(path)
        yield Endpoint(socket=path)


@pytest.fixture(scope="session")
def tiny_tcp() -> Iterator[Endpoint]:
    """The tiny service on a port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with _running("--port", str(port)):
        _wait_for(("127.0.0.1", port))
        yield Endpoint(url=f"http://127.0.0.1:{port}")


@pytest.fixture
def run_tiny() -> Callable[..., Any]:
    """Call it with arguments to run one more tiny service while in its context."""
    return _running


@pytest.fixture
def wait_for() -> Callable[[str], None]:
    """Call it with a socket's path to wait until somebody listens there."""
    return _wait_for


@pytest.fixture
def services(tiny: Endpoint, folder: Path) -> FakeServices:
    """Services `tiny` and `absent`, which never listens."""
    absent = Endpoint(socket=str(folder / "absent.sock"))
    return FakeServices({"tiny": tiny, "absent": absent})


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    """A long token, so that finding it somewhere is no accident."""
    return {
        "ServerApp": {"jpserver_extensions": {}},
        "IdentityProvider": {"token": "outer-token-" + secrets.token_hex(16)},
    }


@pytest.fixture
def proxy(
    jp_serverapp: ServerApp,
    http_server: Any,
    http_server_port: Any,
    jp_asyncio_loop: asyncio.AbstractEventLoop,
    services: FakeServices,
) -> Iterator[Proxy]:
    """The server with the proxy's routes."""
    web_app = jp_serverapp.web_app
    web_app.settings[SERVICES_KEY] = services
    web_app.settings["cookie_secret"] = b"secret of the tests"
    web_app.add_handlers(".*$", handlers(jp_serverapp.base_url))
    token = jp_serverapp.identity_provider.token
    client = jp_asyncio_loop.run_until_complete(_client())
    yield Proxy(jp_serverapp, http_server_port[1], token, client)
    jp_asyncio_loop.run_until_complete(client.close())


@pytest.fixture
def browser(proxy: Proxy, jp_asyncio_loop: asyncio.AbstractEventLoop) -> Iterator[Browser]:
    """A browser that has logged in."""
    client = jp_asyncio_loop.run_until_complete(_client())
    cookies = jp_asyncio_loop.run_until_complete(_log_in(proxy, client))
    yield Browser(proxy, client, cookies)
    jp_asyncio_loop.run_until_complete(client.close())


async def _client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)


async def _log_in(proxy: Proxy, client: aiohttp.ClientSession) -> dict[str, str]:
    found = {}
    for url, headers in (("login", {}), ("api/me", proxy.auth)):
        async with client.get(proxy.origin + "/a%40b/" + url, headers=headers) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                name, _, value = line.partition(";")[0].partition("=")
                found[name] = value
    return found
