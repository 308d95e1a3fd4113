"""The Backend.AI backend against a real manager."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyter_sessions.backends.backendai import BackendAI, convert
from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.backends.signin import Credentials
from jupyter_sessions.commands import Result, parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import (
    AlreadyExists,
    InvalidRequest,
    NeedsForce,
    NotFound,
    RateLimited,
    SessionError,
    Unauthorized,
    UnknownImage,
)
from jupyter_sessions.model import Folder, Size
from jupyter_sessions.service import NewBackend, SessionService
from jupyter_sessions.wire import signing
from jupyter_sessions.wire.signing import Keypair
from tests.interop.backendai_server import ADMIN, IMAGE, USER, Server
from tests.interop.backendai_server.lab import SMALL, RealContract, backend_at, ended_all, keys, reached, spec
from tests.interop.backendai_server.web import signing_in

pytestmark = pytest.mark.timeout(600)  # A first run downloads much.


class TestContract(RealContract):
    """What every backend must do."""

    @pytest.fixture
    def backend(self, backendai: Server) -> Backend:
        """The real manager."""
        return self.at(backendai)


def test_where_it_must_be_installed_first_it_starts_in_three_minutes(backendai: Server) -> None:
    logging.getLogger(__name__).info("It took %.0f s, cold: %s.", backendai.seconds, backendai.cold)
    assert not backendai.cold or backendai.seconds < 180


@pytest_asyncio.fixture
async def lab(backendai: Server) -> AsyncIterator[BackendAI]:
    """The administrator's; sessions are ended afterwards."""
    made = backend_at(backendai)
    yield made
    await ended_all(made)
    await made.close()


@pytest_asyncio.fixture
async def mine(backendai: Server) -> AsyncIterator[BackendAI]:
    """A person's with a small quota: 2 CPUs, 2 GiB, 2 sessions."""
    made = backend_at(backendai, **keys(USER))
    yield made
    await ended_all(made)
    await made.close()


@pytest.mark.asyncio
async def test_a_sessions_life(lab: BackendAI) -> None:
    seen: list[tuple[str, str]] = []

    async def follow() -> None:
        async with aclosing(lab.watch()) as batches:  # type: ignore[type-var]
            async for rows in batches:
                seen.extend((row.id, row.status) for row in rows)

    following = asyncio.create_task(follow())
    row = await lab.create(spec("a-life", tag="of mine", environ={"A": "1"}))
    assert (row.status, row.created_at is not None, row.group_name) == ("PENDING", True, "default")
    row = await reached(lab, row, "RUNNING")
    assert (row.image, row.resources, row.tag) == (IMAGE, SMALL, "of mine")
    assert (row.resource_group, row.domain_name, row.access_key) == ("default", "default", ADMIN.access_key)
    assert row.group_name == "default"  # 25.5.2 says "d" of one session.
    (container,) = row.containers
    assert (container.role, container.status, container.occupied_slots) == ("main", "RUNNING", SMALL)
    assert {"PENDING", "RUNNING"} <= row.status_history.keys()
    assert row.extra["priority"] == 10
    assert await lab.logs(row.id)
    renamed = await lab.rename(row.id, "another-life")
    assert renamed.name == "another-life"
    again = await reached(lab, await lab.restart(row.id), "RUNNING")
    assert again.id == row.id
    with pytest.raises(NotFound, match="no service 'jupyter'"):
        await lab.open_service(row.id, "jupyter", "/x/")
    await lab.destroy(row.id)
    assert (await reached(lab, row, "TERMINATED")).terminated_at is not None
    async with asyncio.timeout(10):
        while (row.id, "TERMINATED") not in seen:
            await asyncio.sleep(0.05)
    following.cancel()
    told = [status for uid, status in seen if uid == row.id]
    assert [status for status in ("PENDING", "RUNNING", "TERMINATED") if status in told] == [
        "PENDING",
        "RUNNING",
        "TERMINATED",
    ]


PARKED = """
INSERT INTO scaling_groups SELECT (jsonb_populate_record(g, '{"name": "parked"}')).* FROM scaling_groups g
  WHERE name = 'default';
INSERT INTO sgroups_for_domains (scaling_group, domain) VALUES ('parked', 'default')"""
AT_ONCE = 6


@pytest.mark.asyncio
@pytest.mark.timeout(600)
async def test_pages_of_a_long_list(
    backendai: Server, lab: BackendAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BackendAI, "page_size", 10)  # The server takes seconds for ten sessions.
    backendai.sql(
        PARKED
    )  # The scheduler looks at no resource group without agents, so that many may wait in it.
    client, free = await lab.client(), asyncio.Semaphore(AT_ONCE)

    async def send(method: str, path: str, body: object = None) -> Any:
        async with free:
            return await client.request(method, path, json=body)

    wanted = [spec(f"one-of-{number}", resource_group="parked") for number in range(26)]
    bodies = [convert.create_body(one, await client.dialect()) for one in wanted]
    service = SessionService(JupyterSessions(backends={"lab": backendai.options()}))
    try:
        made = await asyncio.gather(*(send("POST", "/session", body) for body in bodies))
        rows = {row.id for row in await lab.list(Query())}
        assert rows == {answer["sessionId"] for answer in made} and len(rows) == 26
        assert len(await lab.list(Query(limit=12, offset=13))) == 12
        listing = await service.list(backend="lab", status="all", limit=12, offset=13)
        assert len(listing.sessions) == 12 and not listing.errors
        await asyncio.gather(*(send("DELETE", f"/session/{uid}") for uid in rows))
        assert {row.id for row in await lab.list(Query(status="CANCELLED"))} >= rows
    finally:
        await service.close()
        backendai.sql("DELETE FROM sgroups_for_domains WHERE scaling_group = 'parked'")


@pytest.mark.asyncio
async def test_commands_wait_or_do_not(backendai: Server) -> None:
    said: list[str] = []
    service = SessionService(JupyterSessions(backends={"lab": backendai.options()}))
    lab = service.backend("lab")
    assert isinstance(lab, BackendAI)

    async def typed(line: str) -> Result:
        return await perform(service, parse(line), said.append)

    try:
        await typed("create python --backend lab --cpu 1 --name waits-for-it")
        assert (await service.find("waits-for-it")).status == "RUNNING" and "is running" in said[-1]
        await typed("create python --backend lab --cpu 1 --name does-not --enqueue-only")
        row = await service.find("does-not")
        assert "priority: 10" in (await typed(f"info {row.ref}")).text()
        for option, hint in (("--resource-group big", "default"), ("--project no-such", "default")):
            with pytest.raises(InvalidRequest, match=f"Choose from: {hint}"):
                await typed(f"create python --backend lab --name refused-1 {option}")
        with pytest.raises(InvalidRequest, match="no folder 'data'"):
            await typed("create python --backend lab --name refused-1 --mount data:/data")
    finally:
        await ended_all(lab)
        await service.close()


@pytest.mark.asyncio
async def test_refusals_say_what_to_do(lab: BackendAI) -> None:
    with pytest.raises(UnknownImage, match=r"lab has no image 'pythn'. Choose from: .*python"):
        await lab.create(spec(image="pythn"))
    with pytest.raises(InvalidRequest, match=r"Unknown slot type: 'foo.bar'"):
        await lab.create(spec(resources=SMALL | {"foo.bar": "1"}))
    with pytest.raises(InvalidRequest, match="smaller than the minimum"):
        await lab.create(spec(resources={"cpu": "1", "mem": "1m"}))
    row = await lab.create(spec("only-once"))
    with pytest.raises(AlreadyExists) as caught:
        await lab.create(spec("only-once", reuse_if_exists=False))
    assert caught.value.data == {"existingSessionId": row.id}
    row = await reached(lab, row, "SCHEDULED", "PREPARING", "PULLING", "PREPARED", "CREATING")
    with pytest.raises(NeedsForce, match=r"does not end 'only-once' while it is [A-Z]+: .*by force"):
        await lab.destroy(row.id)
    assert (await lab.destroy(row.id, forced=True)).status in ("TERMINATING", "TERMINATED", "CANCELLED")


@pytest.mark.asyncio
async def test_quota(mine: BackendAI) -> None:
    assert (await mine.capacity())["cpu"].total == "2"
    running = [await reached(mine, await mine.create(spec()), "RUNNING") for _ in range(2)]
    assert (await mine.capacity())["cpu"].free == "0"
    third = await mine.create(spec())
    await asyncio.sleep(3)
    third = await mine.get(third.id)
    assert third.status == "PENDING" and third.status_info == "predicate-checks-failed"
    assert (await mine.destroy(third.id)).status == "CANCELLED"
    assert {row.id for row in await mine.list(Query(status="running"))} == {row.id for row in running}


@pytest.mark.asyncio
async def test_wrong_keys_and_signatures(backendai: Server) -> None:
    for key, words in (
        (Keypair("AKIANOSUCH0000000000", "x" * 40), "Access key not found"),
        (Keypair(ADMIN.access_key, "x" * 40), "Signature mismatch"),
    ):
        lab = backend_at(backendai, **keys(key))
        with pytest.raises(Unauthorized, match=words) as caught:
            await lab.list(Query())
        assert caught.value.hint and key.secret_key not in str(caught.value)
        with pytest.raises(Unauthorized):
            await anext(aiter(lab.watch()))
        await lab.close()


class Behind(datetime):
    """A clock that is 20 minutes behind."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Behind:
        return super().now(tz) - timedelta(minutes=20)


@pytest.mark.asyncio
async def test_a_clock_that_is_off(lab: BackendAI, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_sessions.backends.backendai import problems

    with monkeypatch.context() as patch:
        patch.setattr(signing, "datetime", Behind)
        patch.setattr(problems, "datetime", Behind)
        with pytest.raises(
            Unauthorized, match=r"clock is 20 minutes behind the manager's. Set the clock right"
        ):
            await lab.list(Query())
    assert await lab.list(Query()) == []


@pytest.mark.asyncio
async def test_rate_limit(backendai: Server, mine: BackendAI) -> None:
    await mine.list(Query())
    where = f"WHERE access_key = '{USER.access_key}'"
    backendai.sql(f"UPDATE keypairs SET rate_limit = 1 {where}")
    try:
        with pytest.raises(RateLimited, match="It counts those of the last 900 s"):
            await mine.create(spec())
    finally:
        backendai.sql(f"UPDATE keypairs SET rate_limit = 30000 {where}")
    assert await mine.list(Query()) == []


@pytest.mark.asyncio
async def test_what_there_is_to_choose_from(backendai: Server, lab: BackendAI) -> None:
    backendai.sql(
        "INSERT INTO resource_presets (name, resource_slots, shared_memory) VALUES "
        """('large', '{"cpu": "500", "mem": "1099511627776"}', 1073741824), """
        """('little', '{"cpu": "1", "mem": "1073741824"}', NULL)"""
    )
    user = backendai.sql("SELECT uuid FROM users WHERE username = 'admin'").strip()
    for name, permission in (("data", "ro"), (".local", "rw")):
        backendai.sql(
            'INSERT INTO vfolders (host, domain_name, quota_scope_id, name, usage_mode, permission, "user", '
            "ownership_type, cloneable, creator) VALUES ('local:volume1', 'default', "
            f"'user:{user.replace('-', '')}', '{name}', 'general', '{permission}', '{user}', 'user', false, 'admin')"
        )
    try:
        choices = await lab.choices()
        assert choices.sizes == [
            Size(name="little", resources={"cpu": "1", "mem": "1g"}),
            Size(name="large", resources={"cpu": "500", "mem": "1t"}, shared_memory="1g", fits=False),
        ]
        assert ([group.name for group in choices.groups], choices.projects) == (["default"], ["default"])
        assert choices.folders == [Folder(name=".local", automatic=True), Folder(name="data", read_only=True)]
    finally:
        backendai.sql("DELETE FROM resource_presets")
        backendai.sql("DELETE FROM vfolders")
    images = {image.name: image for image in await lab.images()}
    assert images[IMAGE].aliases == ["python"] and images[IMAGE].resources == {"cpu": "1", "mem": "64m"}
    capacity = await lab.capacity()
    assert capacity["cpu"].total == "32" and capacity["mem"].free == "127g"


@pytest.mark.asyncio
async def test_people_sign_in_to_a_web_server_that_they_have_added(
    backendai: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    caplog.set_level(logging.DEBUG)
    service = SessionService(JupyterSessions())
    with signing_in(backendai, tmp_path) as url:
        assert (await service.add_backend(NewBackend(name="web", type="backendai", url=url))).startswith(
            "Backend.AI 25.5"
        )
        web = service.backend("web")
        assert [method.name for method in web.sign_in_methods()] == ["password"]
        with pytest.raises(Unauthorized, match="User credential mismatch") as caught:
            await service.sign_in("web", _password("wrong-pw"))
        assert "wrong-pw" not in str(caught.value) and not web.sign_in_state().signed_in
        assert "lacks username, password" in (await service.list(backend="web")).errors["web"]
        await service.sign_in("web", _password("user-pw"))
        assert (await service.list(backend="web")).errors == {}
        assert web.sign_in_state().who == "user@test.local"
        await service.sign_out("web")
        assert "lacks username" in (await service.list(backend="web")).errors["web"]
    found = await service.add_backend(NewBackend(name="api", type="backendai", url=backendai.endpoint))
    assert found.startswith("Backend.AI 25.5")
    wrong = Credentials("keypair", {"access_key": USER.access_key, "secret_key": "wrong-pw"})
    with pytest.raises(Unauthorized, match="ignature"):
        await service.sign_in("api", wrong)
    right = Credentials("keypair", {"access_key": USER.access_key, "secret_key": USER.secret_key})
    await service.sign_in("api", right)
    assert (await service.list(backend="api")).errors == {}
    await service.close()
    assert "-pw" not in caplog.text and USER.secret_key not in caplog.text


def _password(password: str) -> Credentials:
    return Credentials("password", {"username": "user@test.local", "password": password})


@pytest.mark.asyncio
async def test_signed_in_to_the_web_server(backendai: Server, tmp_path: Path) -> None:
    with signing_in(backendai, tmp_path) as url:
        options = {"endpoint": url, "endpoint_type": "session", "username": "user@test.local"}
        wrong = BackendAI("web", **options, password="wrong-pw")
        with pytest.raises(Unauthorized, match="User credential mismatch") as caught:
            await wrong.list(Query())
        assert "wrong-pw" not in str(caught.value)
        await wrong.close()
        web = BackendAI("web", **options, password="user-pw")
        async with aclosing(web.watch()) as batches:  # type: ignore[type-var]
            assert await anext(batches) == []
            row = await web.create(spec())
            assert row.access_key == USER.access_key
            async with asyncio.timeout(30):
                while not any(other.status == "RUNNING" for other in await anext(batches)):
                    pass
            (await web.client())._http.cookies.clear()  # As when the web server has forgotten it.
            assert [other.id for other in await web.list(Query())] == [row.id]
        with pytest.raises(SessionError, match="no keypair"):
            await web.client_environment()
        await ended_all(web)
        await web.close()
