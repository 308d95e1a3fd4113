"""Each kind of fault in each kind of request to a Backend.AI manager: what is read, in time, and that it works again."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyter_sessions.backends import local, lost_creates
from jupyter_sessions.backends.backendai import BackendAI, cells
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.errors import SessionError
from jupyter_sessions.model import SessionInfo, SessionSpec
from tests import between as faults
from tests.between import Between, Exchange, Fault, faulty
from tests.interop.backendai_server import Server
from tests.interop.backendai_server.lab import NEVER, backend_at, ended_all, reached, spec
from tests.interop.backendai_server.web import signing_in
from tests.interop.test_faults import FAULTS, PAGE
from tests.manager.world import contact
from tests.ports import free_port

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600)]

SECONDS = 2.0
MARGIN = 5.0
SLOW = ("late", "trickle")


@pytest_asyncio.fixture
async def between(backendai: Server) -> AsyncIterator[Between]:
    """The real manager, with something between."""
    async with faulty(backendai.endpoint) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def straight(backendai: Server) -> AsyncIterator[BackendAI]:
    """A backend with nothing between; all sessions are ended."""
    made = backend_at(backendai)
    yield made
    await ended_all(made)
    await made.close()


@pytest_asyncio.fixture
async def lab(backendai: Server, between: Between, straight: BackendAI) -> AsyncIterator[BackendAI]:
    """A backend on the other side of it."""
    made = backend_at(backendai, endpoint=between.url, timeout=SECONDS)
    yield made
    await made.close()


async def fails(work: Awaitable[Any], name: str, seconds: float = SECONDS) -> None:
    """It says what ails it, in time."""
    _, reason, words = FAULTS[name]
    began = time.monotonic()
    with pytest.raises(SessionError) as caught:
        await work
    assert (caught.value.reason, words in str(caught.value)) == (reason, True), (name, str(caught.value))
    assert time.monotonic() - began < seconds + MARGIN, name


OPERATIONS: dict[str, Callable[[BackendAI, SessionInfo], Awaitable[Any]]] = {
    "rename": lambda lab, row: lab.rename(row.id, f"renamed-{secrets.token_hex(4)}"),
    "logs": lambda lab, row: lab.logs(row.id),
    "choices": lambda lab, row: lab.choices(),
    "capacity": lambda lab, row: lab.capacity(),
    "restart": lambda lab, row: lab.restart(row.id),
}


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_operations(lab: BackendAI, straight: BackendAI, between: Between, operation: str) -> None:
    row = await reached(straight, await straight.create(spec()), "RUNNING")
    act = OPERATIONS[operation]
    await act(lab, row)
    for name, (fault, _, _) in FAULTS.items():
        if operation == "restart":  # Which may take two minutes.
            await reached(straight, row, "RUNNING")
            if name in SLOW:
                continue
        between.break_with(fault)
        await fails(act(lab, row), name)
        between.heal()
        assert [one.id for one in await lab.list(Query())] == [row.id], name
    await reached(straight, row, "RUNNING")
    await act(lab, row)


def later(status: int, *, after: bool) -> Fault:
    """Somebody who says when to try again."""
    return faults.answer(status, PAGE, after=after, Retry_After="7")


CREATES: dict[str, Callable[[bool], Fault]] = {
    "500": lambda after: later(500, after=after),
    "502": lambda after: later(502, after=after),
    "503": lambda after: later(503, after=after),
    "a problem": lambda after: faults.answer(
        500,
        '{"type": "https://api.backend.ai/probs/internal-server-error", "title": "Internal server error."}',
        "application/problem+json",
        after=after,
        Retry_After="7",
    ),
    "no JSON": lambda after: faults.answer(201, '{"sessionId": ', "application/json", after=after),
    "another's JSON": lambda after: faults.answer(200, '{"status": "ok"}', "application/json", after=after),
    "a loop": lambda after: faults.answer(302, "", Location="/session", after=after),
}


@pytest.mark.parametrize("name", CREATES)
async def test_what_is_made_is_found_and_what_is_not_is_not(
    lab: BackendAI, between: Between, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost_creates, "_PAUSES", (0.0, 0.5))
    await lab.list(Query())
    wanted = spec(resources=dict(NEVER))
    between.break_with(CREATES[name](True), on="POST", path="/session")
    row = await lab.create(wanted)
    assert (row.name, row.live, row.reused) == (wanted.name, True, False)
    between.break_with(CREATES[name](False), on="POST", path="/session")
    with pytest.raises(SessionError, match="may still be made: look at the list") as caught:
        await lab.create(spec())
    if name in ("500", "502", "503", "a problem"):
        assert "Try again in 7 s." in str(caught.value)
    again = await lab.create(wanted)
    assert (again.id, again.reused) == (row.id, True)
    between.heal()
    assert between.count("POST /session") == 3
    assert [one.id for one in await lab.list(Query())] == [row.id]


async def test_signing_in(backendai: Server, tmp_path: Path) -> None:
    options = {"endpoint_type": "session", "username": "user@test.local", "password": "user-pw"}
    with signing_in(backendai, tmp_path) as url:
        async with faulty(url) as between:
            for name, (fault, _, _) in FAULTS.items():
                web = BackendAI("lab", endpoint=between.url, timeout=SECONDS, **options)
                between.break_with(fault, path="/server/login")
                await fails(web.list(Query()), name)
                between.heal()
                assert await web.list(Query()) == [], name
                await web.close()


# --- code and services, of which this package's own manager has some ------------------------------

SERVER = """
import socketserver, threading
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(100): self.request.sendall(data.upper())
socketserver.ThreadingTCPServer.daemon_threads = True
threading.Thread(target=socketserver.ThreadingTCPServer(("127.0.0.1", %d), Handler).serve_forever, daemon=True).start()
"""


async def silent(exchange: Exchange) -> None:
    """Nobody answers the handshake."""
    await asyncio.sleep(3600)


@pytest_asyncio.fixture
async def own(machine: Path) -> AsyncIterator[Between]:
    """This package's manager, with something between."""
    found = await asyncio.to_thread(lambda: local.find() or local.start())
    async with faulty(found.url) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def here(own: Between) -> AsyncIterator[BackendAI]:
    """A backend on the other side of it."""
    key = contact().keypair
    made = BackendAI(
        "lab", endpoint=own.url, access_key=key.access_key, secret_key=key.secret_key, timeout=SECONDS
    )
    yield made
    await made.close()


async def running(here: BackendAI, **fields: Any) -> SessionInfo:
    """A session in which code can be run."""
    small = {"cpu": "0.5", "mem": "256m"}
    wanted = SessionSpec(
        name=f"matrix-{secrets.token_hex(4)}", image="python3", backend="lab", resources=small
    )
    for name, value in fields.items():
        setattr(wanted, name, value)
    return await reached(here, await here.create(normalized(wanted)), "RUNNING")


async def ran(here: BackendAI, id: str, code: str) -> str:
    """What code prints."""
    outputs = [output async for output in here.execute(id, code)]
    return "".join(output.content["text"] for output in outputs if output.kind == "stream")


HANDSHAKES = {name: FAULTS[name][0] for name in ("reset", "half", "503", "429", "a page", "a loop")}
HANDSHAKES["silent"] = silent


async def test_code_runs_whatever_becomes_of_the_handshake(here: BackendAI, own: Between) -> None:
    """It is asked for again and again then."""
    row = await running(here)
    for name, fault in HANDSHAKES.items():
        await here._cells.close()
        own.break_with(fault, path="/stream/")
        began = time.monotonic()
        assert await ran(here, row.id, f"print({name!r})") == f"{name}\n"
        assert time.monotonic() - began < SECONDS + MARGIN, name
        own.heal()


async def test_code_that_cannot_be_run(
    here: BackendAI, own: Between, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and what was sent has run once at most."""
    monkeypatch.setattr(cells, "HOLD_SECONDS", 0)
    row = await running(here)
    for number, (name, (fault, _, _)) in enumerate(FAULTS.items()):
        await here._cells.close()
        own.break_with(fault)
        await fails(
            ran(here, row.id, f"open({str(tmp_path / str(number))!r}, 'a').write('x')"), name, 2 * SECONDS
        )
        own.heal()
        assert await ran(here, row.id, "print(1)") == "1\n", name
    assert {path.read_text() for path in tmp_path.iterdir()} <= {"x"}


async def test_a_run_that_is_cut_off_in_the_middle(here: BackendAI, own: Between) -> None:
    row = await running(here)
    outputs = here.execute(row.id, "import time; print('begun', flush=True); time.sleep(60)")
    assert (await anext(outputs)).content["text"] == "begun\n"
    own.cut()
    with pytest.raises(SessionError, match="broke off the connection"):
        async for _ in outputs:
            pass
    await here.interrupt(row.id)
    assert await ran(here, row.id, "print(2)") == "2\n"


async def test_services(here: BackendAI, own: Between) -> None:
    port = free_port()
    row = await running(here, preopen_ports=[port])
    await ran(here, row.id, SERVER % port)
    name = next(service.name for service in row.services if service.ports == [port])
    for fault_name in ("reset", "half", "503", "no JSON", "a page"):
        own.break_with(FAULTS[fault_name][0], path="/apps")
        await fails(here.open_service(row.id, name, ""), fault_name)
    own.heal()
    path = (await here.open_service(row.id, name, "")).socket or ""
    for fault_name, fault in HANDSHAKES.items():
        own.break_with(fault, path="/stream/")
        async with asyncio.timeout(SECONDS + MARGIN):
            assert await _said(path, b"a") == b"", fault_name
        own.heal()
        assert await _said(path, b"a") == b"A", fault_name
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"b")
    assert await reader.readexactly(1) == b"B"
    own.cut()
    async with asyncio.timeout(MARGIN):
        assert await reader.read() == b"", "who was connected is told that it is over"
    writer.close()
    assert await _said(path, b"c") == b"C"


async def _said(path: str, text: bytes) -> bytes:
    """What a service answers; nothing if the connection is closed."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(text)
    said = await reader.read(10)
    writer.close()
    return said
