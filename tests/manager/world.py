"""What tests of the whole manager do: make sessions, run code in them, kill, wait, look at processes."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import msgspec
import psutil
from yarl import URL

from jupyter_sessions.backends import local
from jupyter_sessions.manager.core.record import socket_folder
from jupyter_sessions.manager.runtime.limits import cgroup
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import Contact
from jupyter_sessions.wire.signing import DEFAULT_CONTENT_TYPE, Keypair, headers_for
from tests.waiting import until as until

SMALL = {"cpu": "0.5", "mem": "256m"}
WebSocket = aiohttp.ClientWebSocketResponse[bool]
V5, V8 = "v5.20191215", "v8.20240915"


def configure(state: Path, **settings: object) -> None:
    """Write the configuration that the next manager reads."""
    path = state.parent / "config" / "jupyter_sessions_config.json"
    path.write_bytes(msgspec.json.encode({"JupyterSessions": settings}))


async def ask(service: SessionService, name: str, **fields: Any) -> SessionInfo:
    """Ask for a small session."""
    fields["resources"] = SMALL | fields.get("resources", {})
    return await service.create(SessionSpec(name=name, **fields))


async def reach(
    service: SessionService, row: SessionInfo, *statuses: str, seconds: float = 60
) -> SessionInfo:
    """The row, as soon as it is in one of these statuses."""
    deadline = time.monotonic() + seconds
    last = await service.get("local", row.id)
    while last.status not in statuses and last.live and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
        last = await service.get("local", row.id)
    assert last.status in statuses, f"{last.name} is {last.status}: {last.status_info}"
    return last


async def run(service: SessionService, name: str, **fields: Any) -> SessionInfo:
    """A small session that is running."""
    return await reach(service, await ask(service, name, **fields), "RUNNING")


async def says(service: SessionService, row: SessionInfo, code: str) -> str:
    """What code prints in a session."""
    outputs = [output async for output in service.execute("local", row.id, code)]
    assert outputs[-1].content["status"] == "ok", outputs[-1].content
    return "".join(output.content["text"] for output in outputs if output.kind == "stream").strip()


async def running(service: SessionService, name: str) -> str:
    """The id of a small session that is running."""
    return (await run(service, name)).id


async def statuses(service: SessionService) -> str:
    """The live sessions in one line."""
    return ", ".join(f"{row.name} {row.status}" for row in (await service.list()).sessions)


async def output(service: SessionService, session_id: str, code: str) -> str:
    """What code prints in a session."""
    return await says(service, await service.get("local", session_id), code)


async def ended(service: SessionService, row: SessionInfo, seconds: float = 30) -> SessionInfo:
    """The row of a session once it has ended."""
    return await reach(service, row, "TERMINATED", "CANCELLED", seconds=seconds)


def contact() -> Contact:
    """How to reach the manager, which must be running."""
    found = local.find()
    assert found is not None, "no manager is running"
    return found


async def kill_manager(signum: int = signal.SIGKILL) -> None:
    """End the manager, and wait until it is gone."""
    identity = contact().identity
    os.kill(identity.pid, signum)
    await until(lambda: not identity.alive())


def managers(state: Path) -> list[int]:
    """The managers of a state folder that are running, by pid."""
    found = []
    for process in psutil.process_iter():
        try:
            if "jupyter_sessions.manager" in process.cmdline()[-1:]:
                environ = process.environ()
                if environ.get("JUPYTER_SESSIONS_STATE") == str(state):
                    found.append(process.pid)
        except psutil.Error:
            continue
    return found


def processes(row: SessionInfo) -> list[int]:
    """The kernels of a session, and parents started for its processes."""
    parents = _those(
        lambda one: (
            any(part.endswith("/shim.py") for part in one.cmdline()) and f"/{row.id}/" in one.cwd() + "/"
        )
    )
    return [*kernels(row, all=True), *parents]


def kernels(row: SessionInfo, all: bool = False) -> list[int]:
    """The kernels of a session; there should be one. With `all`, those of the further members of a cluster, too."""

    def is_it(part: str) -> bool:
        real = os.path.realpath(part)
        mine = real.endswith(f"/{row.id}/kernel.json") or (all and f"/{row.id}/" in real)
        return part.endswith("/kernel.json") and (mine or f"/{socket_folder(row.id)}/" in part)

    return _those(lambda one: any(is_it(part) for part in one.cmdline()))


def prestarted() -> list[psutil.Process]:
    """The interpreters that the manager keeps ready and their shims, if they are warm."""
    found = []
    for shim in psutil.Process(contact().identity.pid).children():
        with suppress(psutil.Error):
            found += [process for child in shim.children() if _waits(child) for process in (shim, child)]
    return found


def _waits(process: psutil.Process) -> bool:
    """Whether it is a prestarted interpreter: its last argument keeps room for what it will be, a thread did the imports."""
    padded = set((process.cmdline() or [""])[-1]) == {"-"}
    return padded and process.num_threads() == 1 and process.memory_info().rss > 25 * 1024**2


def _those(are: Callable[[psutil.Process], bool]) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and are(process):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def groups(row: SessionInfo) -> list[Path]:
    """The control groups of a session."""
    tops = {place.top for place in cgroup.own().values()}
    walks = (walk for top in tops for walk in os.walk(top))  # Others' groups may go while one looks.
    return [Path(path, name) for path, names, _ in walks for name in names if name.endswith(row.id)]


async def nothing_left(row: SessionInfo) -> None:
    """Wait until no process, control group or socket of a session is there."""
    await until(lambda: not processes(row))
    await until(lambda: not groups(row))


class Rest:
    """Speaks to the manager's loopback port as the vendors' clients do."""

    def __init__(self, version: str = V5, keypair: Keypair | None = None) -> None:
        self.contact = contact()
        self.keypair = keypair or self.contact.keypair
        self.version = version
        self.http = httpx.AsyncClient(base_url=self.contact.url, timeout=60, trust_env=False)

    async def __aenter__(self) -> Rest:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    def request(
        self, method: str, target: str, body: object = None, kind: str = "application/json"
    ) -> httpx.Request:
        """A signed request; `kind` is its content type."""
        content = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        request = self.http.build_request(method, target, content=content, headers={"Content-Type": kind})
        headers = headers_for(
            self.keypair,
            method=method,
            target=request.url.raw_path.decode(),
            host=request.headers["Host"],
            content_type=kind,
            version=self.version,
        )
        request.headers.update(headers)
        return request

    @asynccontextmanager
    async def socket(self, target: str) -> AsyncIterator[WebSocket]:
        """A WebSocket, signed as the vendors' clients do: with a content type that is not sent."""
        async with aiohttp.ClientSession() as http:
            where = self.contact.url + target
            signed = headers_for(
                self.contact.keypair,
                method="GET",
                target=target,
                host=httpx.URL(where).netloc.decode(),
                content_type=DEFAULT_CONTENT_TYPE,
                version=self.version,
            )
            async with http.ws_connect(URL(where, encoded=True), headers=signed, max_msg_size=0) as socket:
                yield socket

    async def send(self, method: str, target: str, body: object = None) -> httpx.Response:
        """The answer to a signed request."""
        return await self.http.send(self.request(method, target, body))
