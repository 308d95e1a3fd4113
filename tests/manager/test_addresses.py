"""An address of the manager is good for one life of it: what is caught at an earlier one opens nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import httpx
import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.backends.backendai.backend import BackendAI
from jupyter_sessions.backends.skaha import Skaha
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import Forbidden
from jupyter_sessions.manager.api.hosts import Hosts
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.own_ports import is_own, listen_on_new_port, ports_of
from jupyter_sessions.wire.places import place
from tests.manager.world import V8, Rest, configure, contact, kill_manager

REFUSED = [
    "evil.example",
    "evil.example:80",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "",
    "10.0.0.1",
]
REFUSED += ["[2001:db8::1]:1", "0.0.0.0", "evil.example:localhost", "[::1].evil.example", "a b", "127.1.evil"]
TAKEN = [
    "localhost",
    "localhost:8000",
    "LOCALHOST:1",
    "127.0.0.1",
    "127.8.9.1:65535",
    "[::1]",
    "[::1]:9",
    "localhost.",
]


@pytest.mark.parametrize("host", REFUSED)
def test_other_names_are_refused(host: str) -> None:
    with pytest.raises(Forbidden, match="This manager does not answer to the name"):
        Hosts().check(host)


@pytest.mark.parametrize("host", TAKEN)
def test_names_of_this_machine_are_taken_at_any_port(host: str) -> None:
    Hosts().check(host)
    Hosts(earlier_ports={4}).check(host)


def test_more_names_by_configuration() -> None:
    Hosts(["Lab.example.org"]).check("lab.example.org:443")
    with pytest.raises(Forbidden):
        Hosts(["lab.example.org"]).check("other.lab.example.org")


def test_the_port_of_an_earlier_manager_is_refused() -> None:
    hosts = Hosts(earlier_ports={4711})
    hosts.check("127.0.0.1:4712")
    for host in ("127.0.0.1:4711", "localhost:4711", "[::1]:4711", "127.0.0.1:04711"):
        with pytest.raises(Forbidden, match="Port 4711 belonged to an earlier manager"):
            hosts.check(host)


@pytest.mark.usefixtures("state")
def test_no_port_is_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    where = place()
    with listen_on_new_port(where) as first:
        port = first.getsockname()[1]
    made = socket.create_server
    asked = []

    def again(address: tuple[str, int]) -> socket.socket:
        """The system gives the same port once more."""
        asked.append(address)
        return made((address[0], port if len(asked) == 1 else 0))

    monkeypatch.setattr(socket, "create_server", again)
    with listen_on_new_port(where) as second:
        newer = second.getsockname()[1]
        assert newer != port
    assert len(asked) == 2
    assert ports_of(where) == [port, newer]
    assert is_own(f"http://127.0.0.1:{port}/skaha/v1") and is_own(f"http://localhost:{port}")
    assert not is_own(f"http://127.0.0.1:{port + 1}") and not is_own(f"http://lab.example.org:{port}")
    for nonsense in ("", "http://[", f"http://127.0.0.1:{port}x"):
        assert not is_own(nonsense)


@pytest.mark.asyncio
async def test_what_is_caught_at_an_earlier_address_opens_nothing(
    service: SessionService, state: Path
) -> None:
    """Who listens where a manager has ended is sent requests by a shell that still has its variables."""
    await service.backends["local"].client()
    variables = await service.backends["local"].client_environment()
    async with Rest(V8) as rest:
        signed = rest.request("GET", "/folders")
        assert (await rest.http.send(signed)).status_code == 200
    token = variables["CANFAR_TOKEN"]
    skaha = "/skaha/v1/session"
    async with httpx.AsyncClient(base_url=contact().url, trust_env=False) as http:
        bearing = {"Authorization": f"Bearer {token}"}
        assert (await http.get(skaha, headers=bearing)).status_code == 200
        assert (await http.get(skaha, headers=bearing | {"Host": "localhost:9999"})).status_code == 200
        assert (await http.get(skaha, headers=bearing | {"Host": "evil.example"})).status_code == 403
        for path in ("/", "/skaha/availability"):
            answer = await http.get(path, headers={"Host": "evil.example"})
            assert answer.status_code == 403 and "does not answer to the name" in answer.text
    await kill_manager()
    await service.backends["local"].client()
    assert contact().url != variables["BACKEND_ENDPOINT"]
    async with httpx.AsyncClient(base_url=contact().url, trust_env=False) as http:
        answer = await http.get(skaha, headers=bearing)
        assert answer.status_code == 401 and "jupyter session env" in answer.text
        replayed = await http.get("/folders", headers=signed.headers)
        assert replayed.status_code == 403
        assert "belonged to an earlier manager" in replayed.json()["message"]


@pytest.mark.parametrize("lives", [True, False], ids=["living", "ended"])
def test_this_users_own_managers_are_no_further_backends(
    state: Path, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    with listen_on_new_port(place()) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        if not lives:
            listener.close()
        variables = {"BACKEND_ENDPOINT": url, "BACKEND_ACCESS_KEY": "AKIA", "BACKEND_SECRET_KEY": "x"}
        variables |= {"CANFAR_URL": f"{url}/skaha/v1", "CANFAR_TOKEN": "AKIA.x"}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert BackendAI.options_from_environment() is None and Skaha.options_from_environment() is None
        assert list(SessionService(JupyterSessions()).backends) == ["local"]
        monkeypatch.setenv("BACKEND_ENDPOINT", f"https://api.example.org,{url}")
        assert BackendAI.options_from_environment() is None
        monkeypatch.setenv("BACKEND_ENDPOINT", "https://api.example.org")
        assert BackendAI.options_from_environment() == {"endpoint": "https://api.example.org"}


@pytest.mark.in_memory
def test_the_configuration_names_more_hosts(state: Path) -> None:
    configure(state, allowed_hosts=["lab.example.org"])
    there = local.start()
    assert os.path.exists(there.socket)
    for host, status in (("lab.example.org", 200), ("other.example.org", 403)):
        assert httpx.get(there.url, headers={"Host": host}, trust_env=False).status_code == status
