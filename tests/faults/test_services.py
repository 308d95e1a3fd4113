"""JupyterLab in a session: one for all who ask, and it ends before the session where memory runs out."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import httpx
import pytest

from jupyter_sessions.errors import NoRoom
from jupyter_sessions.model import Endpoint, SessionInfo
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire import environment
from jupyter_sessions.wire.places import STATE_VARIABLE
from tests.faults.test_session_limits import means as means
from tests.manager.world import kill_manager, run, says, until

pytestmark = pytest.mark.asyncio

AT = "/jupyter-sessions/services/local/x/jupyter/"
# Takes 400 MiB as soon as somebody says something; who only looks whether it listens does not.
GREEDY = """
import socket, sys, time
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    while not listener.accept()[0].recv(1): pass
data = b"x" * (400 << 20)
time.sleep(600)
"""


def connect(endpoint: Endpoint) -> bool:
    """Whether somebody listens there, who then knows that somebody is there."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(endpoint.socket or "") == 0 and client.send(b"x") == 1


@pytest.fixture
def greedy(monkeypatch: pytest.MonkeyPatch) -> str:
    """A service of all sessions."""
    command = [sys.executable, "-c", GREEDY, "{socket}"]
    monkeypatch.setattr(environment, "_services", lambda: {"greedy": command})
    return "greedy"


async def ended(service: SessionService, row: SessionInfo) -> str:
    """Why its first service was ended; "" as long as it was not."""
    return (await service.get("local", row.id)).services[0].ended


@pytest.mark.usefixtures("means")
async def test_a_service_ends_where_the_session_would(service: SessionService, greedy: str) -> None:
    row = await run(service, "keeps-its-variables", resources={"mem": "256m"})
    await says(service, row, "x = 41")
    endpoint = await service.open_service("local", row.id, greedy, AT)
    await kill_manager()  # The next one knows of it, too.
    await until(lambda: connect(endpoint))
    why = "the session was over its 256 MiB"
    assert await until(lambda: ended(service, row)) == why
    assert await says(service, row, "x += 1; print(x)") == "42"
    with pytest.raises(NoRoom, match=f"'{greedy}' was ended: {why}"):
        await service.open_service("local", row.id, greedy, AT)
    await service.start_service("local", row.id, greedy, forced=True)
    assert await service.open_service("local", row.id, greedy, AT) == endpoint
    assert await ended(service, row) == ""
    await until(lambda: connect(endpoint))
    assert await until(lambda: ended(service, row)) == why
    await service.restart("local", row.id)
    assert await ended(service, row) == ""


async def test_a_service_that_cannot_fit_is_not_started(service: SessionService) -> None:
    row = await run(service, "small", resources={"mem": "128m"})
    await says(service, row, "x = 41")
    with pytest.raises(
        NoRoom, match=r"needs about 110 MiB, and session 'small' has .* left of its 128 MiB"
    ) as caught:
        await service.open_service("local", row.id, "jupyter", AT)
    assert "create a session with 256 MiB" in caught.value.hint
    assert caught.value.data["left"] < caught.value.data["needs"] < caught.value.data["limit"]
    await service.start_service("local", row.id, "jupyter", forced=True)
    endpoint = await service.open_service("local", row.id, "jupyter", AT)

    async def decided() -> bool:
        return connect(endpoint) or bool(await ended(service, row))

    await until(decided, 60)
    assert await says(service, row, "print(x + 1)") == "42"


async def test_one_jupyter_for_all_who_ask(service: SessionService) -> None:
    """By whatever path their browsers see it; who knows nothing of paths is led to its own."""
    row = await run(service, "serves", resources={"mem": "512m"})
    first, second = await asyncio.gather(
        service.open_service("local", row.id, "jupyter", AT),
        service.open_service("local", row.id, "jupyter", f"/user/b{AT}"),
    )
    assert first == second
    assert first.socket
    transport = httpx.AsyncHTTPTransport(uds=first.socket)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as http:
        await until(lambda: answers(http, f"{first.base_url}api"))
        assert (await http.get("/api")).headers["Location"] == f"{first.base_url}api"
        kernel = (await http.post("/api/kernels", follow_redirects=True, json={})).json()
        kernels = (await http.get(f"{second.base_url}api/kernels")).json()
    assert [one["id"] for one in kernels] == [kernel["id"]]


async def test_a_sessions_jupyterlab_says_where_it_is(service: SessionService, state: Path) -> None:
    """In its title and in the list of sessions; its kernel has what it has elsewhere."""
    environ = {STATE_VARIABLE: str(state), "JUPYTER_CONFIG_DIR": os.environ["JUPYTER_CONFIG_DIR"]}
    row = await run(service, "demo", resources={"mem": "512m"}, environ=environ)
    endpoint = await service.open_service("local", row.id, "jupyter", AT)
    transport = httpx.AsyncHTTPTransport(uds=endpoint.socket)
    root = f"http://localhost{endpoint.base_url}"
    async with httpx.AsyncClient(transport=transport, base_url=root, timeout=60) as http:
        await until(lambda: answers(http, "api"))
        assert r'"appName": "demo \u00b7 JupyterLab"' in (await http.get("lab")).text
        spec = (await http.get("api/kernelspecs")).json()["kernelspecs"]["python3"]
        assert spec["spec"]["metadata"]["debugger"] is True
        assert "logo-64x64" in spec["resources"]
        (listed,) = (await http.get("jupyter-sessions/sessions")).json()["sessions"]
        assert (listed["id"], listed["here"]) == (row.id, True)
    assert not (await service.get("local", row.id)).here


async def answers(http: httpx.AsyncClient, path: str) -> bool:
    """Whether a service answers by now."""
    try:
        return (await http.get(path)).is_success
    except httpx.TransportError:
        return False
