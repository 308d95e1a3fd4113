"""Plug-ins of jupyter-server-proxy as services: a real distribution in a folder of the session's Python."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyter_sessions.errors import InvalidRequest, NotFound, NotSupported, ServiceEnded
from jupyter_sessions.model import Endpoint, Service, ServiceRequest, SessionInfo
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.proxy.upstream import client, patiently, url
from tests.manager.world import kill_manager, run, until

pytestmark = pytest.mark.asyncio

PLUGINS = Path(__file__).parents[2] / "resources" / "service_plugins"
AT = "/jupyter-sessions/services/local/x/y/"


@pytest.fixture(autouse=True)
def plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution is on the path of sessions, not on that of this process."""
    monkeypatch.setenv("PYTHONPATH", str(PLUGINS))


@pytest_asyncio.fixture
async def row(shared: SessionService) -> AsyncIterator[SessionInfo]:
    """A session whose plug-ins are known."""
    made = await run(shared, "has-plugins")
    await until(lambda: named(shared, made, "by-port"))
    yield made


async def named(service: SessionService, row: SessionInfo, name: str) -> Service | None:
    """A service of a session as its row tells it."""
    services = (await service.get("local", row.id)).services
    return next((one for one in services if one.name == name), None)


async def state(service: SessionService, row: SessionInfo, name: str) -> str:
    """The state of a service."""
    found = await named(service, row, name)
    return found.state if found else ""


async def fetch(endpoint: Endpoint, path: str) -> Any:
    """What a service answers, once it listens."""
    async with client(endpoint) as session:
        answer = await patiently(lambda: session.get(url(endpoint, path), headers=endpoint.headers), 20)
        async with answer:
            return json.loads(await answer.read())


async def test_a_plugin_with_a_port(shared: SessionService, row: SessionInfo) -> None:
    listed = await named(shared, row, "by-port")
    assert listed == Service(
        name="by-port",
        title="Tiny one",
        path="hello?a=1",
        url=f"jupyter-sessions/services/local/{row.id}/by-port/hello?a=1",
        state="not started",
        new_tab=False,
    )
    endpoint = await shared.open_service("local", row.id, "by-port", AT)
    answer = await fetch(endpoint, "/some/where")
    assert endpoint.at_root
    assert answer["path"] == "/some/where"
    assert answer["headers"]["X-Tiny"].isdigit()
    assert answer["session"] == "has-plugins"
    programs = answer["path_variable"].split(os.pathsep)
    assert programs[0] == os.path.dirname(sys.executable), "programs of the plug-in's Python come first"
    assert answer["cwd"] == row.cwd
    assert endpoint.base_url == f"{answer['base']}by-port/"
    await until(lambda: is_in(shared, row, "by-port", "ready"))


async def is_in(service: SessionService, row: SessionInfo, name: str, wanted: str) -> bool:
    """Whether a service is in a state."""
    return await state(service, row, name) == wanted


async def test_a_plugin_with_a_socket_and_functions(shared: SessionService, row: SessionInfo) -> None:
    endpoint = await shared.open_service("local", row.id, "by-socket", AT)
    assert not endpoint.at_root
    answer = await fetch(endpoint, f"{endpoint.base_url}page")
    assert answer["path"] == f"{endpoint.base_url}page"


async def test_stop_and_start_with_arguments(shared: SessionService, row: SessionInfo) -> None:
    await shared.start_service("local", row.id, "by-port", arguments={"greeting": "hallo"})
    endpoint = await shared.open_service("local", row.id, "by-port", AT)
    assert (await fetch(endpoint, "/"))["greeting"] == "hallo"
    with pytest.raises(InvalidRequest, match="runs already, with greeting=hallo") as caught:
        await shared.start_service("local", row.id, "by-port", arguments={"greeting": "salut"})
    assert "'by-port:2'" in caught.value.hint
    await shared.start_service("local", row.id, "by-port:2", arguments={"greeting": "salut"})
    second = await shared.open_service("local", row.id, "by-port:2", AT)
    assert (await fetch(second, "/"))["greeting"] == "salut"
    await shared.stop_service("local", row.id, "by-port")
    assert await state(shared, row, "by-port") == "not started"
    with pytest.raises(ServiceEnded, match="'by-port' was stopped"):  # By a page that is still open.
        await shared.open_service("local", row.id, "by-port", AT)
    await shared.start_service("local", row.id, "by-port")
    again = await shared.open_service("local", row.id, "by-port", AT)
    assert (await fetch(again, "/"))["greeting"] == "hallo", "arguments are those of the last start"
    with pytest.raises(InvalidRequest, match="is not a valid argument"):
        await shared.start_service("local", row.id, "by-port:3", arguments={"a b": "c"})


async def test_a_service_that_fails_says_so(shared: SessionService, row: SessionInfo) -> None:
    await shared.open_service("local", row.id, "dying", AT)
    await until(lambda: is_in(shared, row, "dying", "failed"))
    listed = await named(shared, row, "dying")
    assert listed is not None
    assert "exit status 1" in listed.ended
    assert "no licence for" in await shared.service_log("local", row.id, "dying")
    with pytest.raises(ServiceEnded, match="'dying' has ended"):
        await shared.open_service("local", row.id, "dying", AT)
    await shared.start_service("local", row.id, "dying")
    await until(lambda: is_in(shared, row, "dying", "failed"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("rewriting", r"'rewriting' \(tiny-plugins 1.2\) rewrites responses"),
        ("mapping", "maps paths"),
        ("raw", "passes raw sockets"),
        ("unmanaged", "has no command"),
        ("broken", r"tiny-plugins 1.2\) cannot be loaded: RuntimeError: no such program: tiny"),
        ("missing", "cannot be loaded: ModuleNotFoundError"),
    ],
)
async def test_what_is_not_supported_is_refused_in_a_sentence(
    shared: SessionService, row: SessionInfo, name: str, why: str
) -> None:
    assert await state(shared, row, name) == "failed"
    with pytest.raises(NotSupported, match=why):
        await shared.open_service("local", row.id, name, AT)


@pytest.mark.parametrize("name", ["a name", "by-port:0", "by-port:x", "by-port:1:2", "../by-port"])
async def test_names_that_are_none(shared: SessionService, row: SessionInfo, name: str) -> None:
    with pytest.raises(NotFound, match="no service"):
        await shared.open_service("local", row.id, name, AT)


async def test_a_service_that_starts_with_its_session(shared: SessionService) -> None:
    asked = [ServiceRequest("by-port", {"greeting": "moin"}), ServiceRequest("nothing")]
    row = await run(shared, "starts-services", services=asked)
    await until(lambda: is_in(shared, row, "by-port", "ready"))
    endpoint = await shared.open_service("local", row.id, "by-port", AT)
    assert (await fetch(endpoint, "/"))["greeting"] == "moin"
    await shared.restart("local", row.id)
    await until(lambda: is_in(shared, row, "by-port", "ready"))
    assert (await fetch(await shared.open_service("local", row.id, "by-port", AT), "/"))["greeting"] == "moin"


async def test_the_next_manager_knows_of_services(service: SessionService) -> None:
    row = await run(service, "taken-over")
    await until(lambda: named(service, row, "slow"))
    before = await service.open_service("local", row.id, "slow", AT)
    assert await state(service, row, "slow") == "starting"
    await kill_manager()
    await until(lambda: is_in(service, row, "slow", "ready"))
    after = await service.open_service("local", row.id, "slow", AT)
    assert after == before
    assert (await fetch(after, "/"))["greeting"] == "hello"
    await service.stop_service("local", row.id, "slow")
    assert await state(service, row, "slow") == "not started"
