"""Managers that have several addresses, one of which is dead or hangs; and those that answer no handshake."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.errors import BackendTimeout, BackendUnavailable
from jupyter_sessions.model import SessionSpec
from tests.backends.small_manager import SmallManager, serving
from tests.between import Exchange, faulty
from tests.ports import free_port

pytestmark = pytest.mark.asyncio

SECONDS = 3.0


@pytest.fixture
def silent() -> Iterator[str]:
    """An address at which one can connect, and nobody says anything."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(100)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def full() -> Iterator[str]:
    """An address that takes no more connections, and does not say so."""
    waiting: list[socket.socket] = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    for one in waiting:
        one.close()


@pytest.fixture
def dead() -> str:
    """An address at which nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


@asynccontextmanager
async def behind(*urls: str, seconds: float = SECONDS) -> AsyncIterator[BackendAI]:
    """A backend with these addresses."""
    lab = BackendAI(
        "lab", endpoint=",".join(urls), access_key="A", secret_key="S", timeout=seconds, group="default"
    )
    yield lab
    await lab.close()


async def ran(lab: BackendAI, code: str) -> str:
    """What code prints."""
    outputs = [output async for output in lab.execute("s1", code)]
    return "".join(output.content["text"] for output in outputs if output.kind == "stream")


@pytest.mark.parametrize("first", ["dead", "silent", "full"])
async def test_the_one_that_lives_is_found_by_all_who_ask_at_once(
    request: pytest.FixtureRequest, dead: str, first: str
) -> None:
    bad = request.getfixturevalue(first)
    async with serving(SmallManager()) as url, behind(bad, dead, url) as lab:
        assert await asyncio.gather(*(lab.list(Query()) for _ in range(8))) == [[]] * 8
        began = time.monotonic()
        assert await asyncio.gather(*(lab.list(Query()) for _ in range(8))) == [[]] * 8
        assert time.monotonic() - began < SECONDS / 3, "the one that lives is asked first now"


@pytest.mark.parametrize("first", ["dead", "silent", "full"])
async def test_code_runs_through_the_one_that_lives(request: pytest.FixtureRequest, first: str) -> None:
    bad = request.getfixturevalue(first)
    manager = SmallManager()
    async with serving(manager) as url, behind(url, bad) as lab:
        await lab.list(Query())
        (await lab.client())._endpoints.reverse()
        assert await ran(lab, "1") == "1"
    assert manager.count("POST /session/s1") == 0, "it was not asked again and again"


async def test_what_may_have_been_done_is_asked_of_nobody_else(silent: str) -> None:
    manager = SmallManager()
    async with serving(manager) as url, behind(url, silent, seconds=0.5) as lab:
        client = await lab.client()
        await client.dialect()
        client._endpoints.reverse()
        with pytest.raises(BackendTimeout):
            await client.request("POST", "/session", json={})
        assert manager.count("POST /session") == 0
        row = await lab.create(normalized(SessionSpec(name="train-1", image="python", backend="lab")))
        assert row.id == manager.rows[0]["id"], "the next one is asked where there is an answer"


async def test_all_dead_says_so(dead: str) -> None:
    async with behind(dead, dead) as lab:
        with pytest.raises(BackendUnavailable, match="cannot be reached"):
            await lab.list(Query())


async def test_a_handshake_that_nobody_answers_is_given_up_in_time() -> None:
    manager = SmallManager()

    async def hang(exchange: Exchange) -> None:
        await asyncio.sleep(3600)

    async with serving(manager) as url, faulty(url) as between, behind(between.url, seconds=0.5) as lab:
        client = await lab.client()
        await client.dialect()
        between.break_with(hang, path="/stream/")
        began = time.monotonic()
        assert await client.websocket("/session/s1/execute") is None
        assert await client.websocket("/session/s1/tcpproxy", {"app": "one"}) is None
        assert time.monotonic() - began < 5


async def test_services_that_are_opened_at_once_are_not_mixed_up() -> None:
    async with serving(SmallManager()) as url, behind(url) as lab:
        ends = await asyncio.gather(*(lab.open_service("s1", name, "") for name in ("one", "two") * 2))
        assert [await _said(end.socket or "") for end in ends] == ["one", "two"] * 2
        assert ends[0] == ends[2] and ends[1] == ends[3]


async def _said(path: str) -> str:
    reader, writer = await asyncio.open_unix_connection(path)
    said = (await reader.readexactly(3)).decode()
    writer.close()
    return said


class RedirectingManager(SmallManager):
    """Sends whoever wants to execute code to another session."""

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/stream/session/other/tcpproxy?app=one")


async def test_a_redirect_of_a_handshake_is_not_followed() -> None:
    manager = RedirectingManager()
    async with serving(manager) as url, behind(url) as lab:
        client = await lab.client()
        assert await client.websocket("/session/s1/execute") is None
    assert manager.count("GET /stream/session/s1/execute") and not manager.count("GET /stream/session/other")
