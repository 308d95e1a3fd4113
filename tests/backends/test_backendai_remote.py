"""This package's own manager as a remote one, by URL and keypair: what the real one with its dummy agent cannot do."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.session_request import normalized
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import Forbidden, NeedsForce, NotFound
from jupyter_sessions.model import Endpoint, SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from tests.between import advertising, answer, faulty
from tests.manager.world import contact
from tests.ports import free_port

pytestmark = pytest.mark.asyncio

SMALL = {"cpu": "0.5", "mem": "256m"}
OLD = ("v5.20191215", "v4.20190615")
SERVER = """
import http.server, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"served " + self.path.encode())
    def log_message(self, *args): pass
threading.Thread(target=http.server.HTTPServer(("127.0.0.1", %d), Handler).serve_forever, daemon=True).start()
"""


@pytest_asyncio.fixture
async def manager(machine: Path) -> None:
    """Our manager runs."""
    service = SessionService(JupyterSessions())
    await service.list(status="all", backend="local")
    await service.describe("local")
    await service.close()


@pytest_asyncio.fixture(params=["", *OLD])
async def lab(manager: None, request: pytest.FixtureRequest) -> AsyncIterator[BackendAI]:
    """A backend that knows its address and its keypair, of today's version and of old ones."""
    here = contact()
    async with advertising(here.url, request.param) as between:
        made = BackendAI(
            "lab",
            endpoint=between.url,
            access_key=here.keypair.access_key,
            secret_key=here.keypair.secret_key,
        )
        yield made
        await made.close()


async def reached(lab: BackendAI, row: SessionInfo, *statuses: str) -> SessionInfo:
    """The row, in one of these statuses."""
    async with asyncio.timeout(60):
        while row.status not in statuses:
            await asyncio.sleep(0.05)
            row = await lab.get(row.id)
    return row


async def ran(lab: BackendAI, id: str, code: str) -> str:
    """What code prints."""
    outputs = [output async for output in lab.execute(id, code)]
    assert outputs[-1].kind == "reply" and outputs[-1].content["status"] == "ok", outputs
    return "".join(output.content["text"] for output in outputs if output.kind == "stream")


async def test_sessions_live_run_code_and_end(lab: BackendAI) -> None:
    rows = aiter(lab.watch())
    first = await anext(rows)
    row = await lab.create(
        normalized(SessionSpec(name="remote-one", image="python3", backend="lab", resources=SMALL))
    )
    again = await lab.create(
        normalized(SessionSpec(name="remote-one", image="python3", backend="lab", resources=SMALL))
    )
    assert (row.id not in {one.id for one in first}, again.id, again.reused) == (True, row.id, True)
    assert (row.type, row.cluster_size, row.resources) == ("interactive", 1, SMALL)
    await reached(lab, row, "RUNNING")
    assert await ran(lab, row.id, "x = 6 * 7; print(x)") == "42\n"
    renamed = await lab.rename(row.id, "remote-two")
    assert (renamed.id, renamed.name) == (row.id, "remote-two")
    assert row.id in [one.id for one in await lab.list(Query())]
    assert (await lab.restart(row.id)).id == row.id
    await reached(lab, row, "RUNNING")
    assert await ran(lab, row.id, "print('x' in globals())") == "False\n"
    await lab.destroy(row.id, forced=True)
    async with asyncio.timeout(30):
        while not any(one.id == row.id and not one.live for one in await anext(rows)):
            pass
    await rows.aclose()  # type: ignore[attr-defined]
    assert (await lab.get(row.id)).status == "TERMINATED"


async def test_batch_sessions_end_by_themselves(lab: BackendAI) -> None:
    for name, command, result in (("batch-good", "echo done", "SUCCESS"), ("batch-bad", "exit 3", "FAILURE")):
        row = await lab.create(
            normalized(
                SessionSpec(
                    name=name,
                    image="python3",
                    backend="lab",
                    type="batch",
                    startup_command=command,
                    resources=SMALL,
                )
            )
        )
        assert row.type == "batch"
        row = await reached(lab, row, "TERMINATED")
        assert row.result == result


@pytest.mark.parametrize("lab", [""], indirect=True)
async def test_services_are_reached_through_a_socket_of_this_users(lab: BackendAI) -> None:
    port = free_port()
    row = await lab.create(
        normalized(
            SessionSpec(
                name="remote-port", image="python3", backend="lab", resources=SMALL, preopen_ports=[port]
            )
        )
    )
    row = await reached(lab, row, "RUNNING")
    name = next(service.name for service in row.services if service.ports == [port])
    await ran(lab, row.id, SERVER % port)
    with pytest.raises(NotFound, match=name):
        await lab.open_service(row.id, "no-such", "/x/")
    end = await lab.open_service(row.id, name, "/x/")
    assert end == await lab.open_service(row.id, name, "/x/")
    socket = Path(end.socket or "")
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    answers = await asyncio.gather(*(asked(end, f"/{number}") for number in range(20)))
    assert answers == [f"served /{number}" for number in range(20)]
    await lab.destroy(row.id, forced=True)
    await lab.close()
    assert not socket.parent.exists()


async def asked(end: Endpoint, path: str) -> str:
    """What a service answers."""
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=end.socket), timeout=60) as http:
        return (await http.get(f"http://localhost{path}")).text


async def test_what_only_force_ends_now_is_refused_as_that(manager: None) -> None:
    here = contact()
    keypair = {"access_key": here.keypair.access_key, "secret_key": here.keypair.secret_key}
    said = {"type": "https://api.backend.ai/probs/generic-forbidden", "title": "Forbidden operation."}
    said["msg"] = "Cannot destroy sessions in scheduled/preparing status"
    async with faulty(here.url) as between:
        lab = BackendAI("lab", endpoint=between.url, **keypair)
        row = await lab.create(
            normalized(SessionSpec(name="not-yet", image="python3", resources=SMALL, starts_at="1h"))
        )
        between.break_with(answer(403, json.dumps(said), "application/problem+json"), on="DELETE")
        with pytest.raises(
            NeedsForce, match=r"does not end 'not-yet' while it is PENDING: Cannot.* by force"
        ):
            await lab.destroy(row.id)
        with pytest.raises(Forbidden, match="Try again once that is over") as refused:
            await lab.destroy(row.id, forced=True)
        assert refused.type is Forbidden  # What force does not do it is not offered for.
        between.heal()
        assert (await lab.destroy(row.id)).status == "CANCELLED"
        await lab.close()


@pytest.mark.parametrize("lab", [""], indirect=True)
async def test_it_says_what_there_is_to_choose_from(lab: BackendAI) -> None:
    choices, capacity, images = await lab.choices(), await lab.capacity(), await lab.images()
    assert ([group.name for group in choices.groups], choices.projects) == (["default"], ["default"])
    assert capacity["cpu"].total and capacity["mem"].free
    assert "python3" in {name for image in images for name in (image.name, *image.aliases)} | {
        image.name.removeprefix("local/") for image in images
    }


@pytest.mark.parametrize("lab", [""], indirect=True)
async def test_the_environments_own_manager_is_no_second_one(
    lab: BackendAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in (await lab.client_environment()).items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("BACKEND_ENDPOINT", contact().url)
    assert "backendai" not in SessionService(JupyterSessions()).backends
    monkeypatch.setenv("BACKEND_ENDPOINT", "https://manager.example.org,https://other.example.org")
    service = SessionService(JupyterSessions())
    assert service.backends["backendai"].options == {
        "endpoint": "https://manager.example.org,https://other.example.org"
    }
    configured = {"cluster": {"type": "backendai", "endpoint": "https://other.example.org/"}}
    assert [*SessionService(JupyterSessions(backends=configured)).backends] == ["local", "cluster"]
