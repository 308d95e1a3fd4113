"""The backends that a person added, and the file of them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from jupyter_sessions.backends.signin import Credentials
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.service import NewBackend, SessionService, backend_service, user_backends_file
from jupyter_sessions.service.changes import BackendChanged, Change, SessionPut, SessionRemoved
from jupyter_sessions.wire.places import STATE_VARIABLE


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter's folders of this test."""
    for name in ("config", "data"):
        monkeypatch.setenv(f"JUPYTER_{name.upper()}_DIR", str(tmp_path / name))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path / "state"))
    return tmp_path


@pytest.mark.parametrize("flaw", [b"{", b'{"lab": {"type": "\xff"}}', b'{"lab": 1}'])
def test_a_file_that_cannot_be_read_is_named(flaw: bytes) -> None:
    user_backends_file.path().parent.mkdir()
    user_backends_file.path().write_bytes(flaw)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        user_backends_file.read()
    assert user_backends_file.known() == {}


@pytest.mark.asyncio
async def test_one_that_is_removed_while_it_is_asked_is_gone(
    toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_service, "LOOK_SECONDS", 0.5)
    user_backends_file.write({"lab": {"type": "hanging"}})
    service = SessionService(JupyterSessions(default_backend="lab", enabled_backends=["lab"]))
    service.feed.start(service.backends.values())
    listing = asyncio.create_task(service.list())
    await asyncio.sleep(0.1)
    await service.remove_backend("lab")
    assert (await listing).sessions == [] and service.feed.errors == {}
    await service.close()


@pytest.mark.asyncio
async def test_of_two_that_are_added_at_once_under_a_name_one_is_there() -> None:
    """By two processes, as far as files and locks are concerned."""

    async def capabilities(request: web.Request) -> web.Response:
        await asyncio.sleep(0.3)  # Both have seen by now that the name is free.
        return web.Response(text='standardID="http://www.opencadc.org/std/platform#session-1"')

    app = web.Application()
    app.router.add_get("/{where}/capabilities", capabilities)
    async with TestServer(app) as server:
        services = [SessionService(JupyterSessions(enabled_backends=["lab", "sky"])) for _ in range(2)]

        def wanted(name: str, where: str) -> NewBackend:
            return NewBackend(name=name, type="skaha", url=str(server.make_url(where)))

        asked = [(services[0], "lab", "/a"), (services[1], "lab", "/b"), (services[0], "sky", "/c")]
        found = await asyncio.gather(
            *(service.add_backend(wanted(name, where)) for service, name, where in asked),
            return_exceptions=True,
        )
    assert sorted(type(one).__name__ for one in found) == ["AlreadyExists", "str", "str"], found
    kept = user_backends_file.read()
    assert kept.keys() == {"lab", "sky"}
    (told,) = (
        where
        for (_, name, where), said in zip(asked, found, strict=True)
        if name == "lab" and said == "Skaha, API v1"
    )
    assert kept["lab"]["url"].endswith(told)
    for service in services:
        await service.close()


def test_one_process_waits_for_another_that_changes_the_file() -> None:
    user_backends_file.write({})
    code = (
        "import time; from jupyter_sessions.service import user_backends_file as added\n"
        "with added.changing() as now: print(flush=True); time.sleep(0.5); now['theirs'] = {}"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        with user_backends_file.changing() as now:
            now["mine"] = {}
    assert user_backends_file.read().keys() == {"mine", "theirs"}


def of(person: str) -> dict[str, Any]:
    """A row of Skaha."""
    return {
        "id": f"{person}0000000"[:8],
        "name": person,
        "status": "Running",
        "type": "notebook",
        "image": "x",
        "startTime": "2026-08-06T12:00Z",
        "isFixedResources": False,
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("remember", [False, True])
async def test_who_comes_back_finds_the_sessions_as_they_were(remember: bool) -> None:
    async def listed(request: web.Request) -> web.Response:
        return web.json_response([of(request.headers["Authorization"].removeprefix("Bearer "))])

    app = web.Application()
    app.router.add_get("/skaha/v1/session", listed)
    changes: list[Change] = []
    async with TestServer(app) as server:
        url = str(server.make_url("/skaha"))
        lab = {"type": "skaha", "url": url}
        service = SessionService(JupyterSessions(backends={"lab": lab}, enabled_backends=["lab"]))
        service.feed.start(service.backends.values())
        service.feed.listen(lambda batch: changes.extend(batch.changes))
        try:
            for person in ("ada", "bob", "ada"):
                await service.sign_in("lab", Credentials("token", {"token": person}), remember=remember)
                async with asyncio.timeout(10):
                    while [row.name for row in service.feed.rows("lab")] != [person]:
                        await asyncio.sleep(0.02)
            await service.sign_out("lab")
            assert [row.name for row in service.feed.rows("lab")] == [
                "ada"
            ]  # Greyed, until somebody signs in.
        finally:
            await service.close()
    # What changes again before it was told is told once.
    assert {type(change) for change in changes} <= {BackendChanged, SessionPut, SessionRemoved}
    assert {change.session.status for change in changes if isinstance(change, SessionPut)} <= {"RUNNING"}
