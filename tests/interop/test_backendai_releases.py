"""The Backend.AI backend against the oldest and the newest manager that it is claimed for."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest
import pytest_asyncio

from jupyter_sessions.backends import polling
from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.errors import (
    AlreadyExists,
    InvalidRequest,
    NotFound,
    NotSupported,
    SessionError,
    Unauthorized,
    UnknownImage,
)
from jupyter_sessions.wire.signing import Keypair
from tests.interop.backendai_server import ADMIN, IMAGE, NEWEST, OLDEST, Server, running
from tests.interop.backendai_server.lab import (
    NEVER,
    SMALL,
    RealContract,
    backend_at,
    ended_all,
    keys,
    reached,
    spec,
)

pytestmark = pytest.mark.timeout(600)  # A first run downloads much.


@pytest.fixture(scope="module", params=[OLDEST, NEWEST], ids=lambda release: str(release.version))
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A manager of either release, in a folder that PostgreSQL's user may enter."""
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
        running(Path(folder), request.param) as server,
    ):
        yield server


@pytest_asyncio.fixture
async def lab(server: Server) -> AsyncIterator[BackendAI]:
    """The administrator's; sessions are ended afterwards."""
    made = backend_at(server)
    yield made
    await ended_all(made)
    await made.close()


class TestContract(RealContract):
    """What every backend must do."""

    @pytest.fixture
    def backend(self, server: Server) -> Backend:
        """The real manager."""
        return self.at(server)


@pytest.mark.asyncio
async def test_a_sessions_life(server: Server, lab: BackendAI, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told of by events alone, unless the manager sends none."""
    if server.release.sessions:
        monkeypatch.setattr(polling, "QUICK_SECONDS", 3600.0)
        monkeypatch.setattr(BackendAI, "poll_seconds", 3600.0)
    seen: list[tuple[str, str]] = []

    async def follow() -> None:
        async with aclosing(lab.watch()) as batches:  # type: ignore[type-var]
            async for rows in batches:
                seen.extend((row.id, row.status) for row in rows)

    following = asyncio.create_task(follow())
    row = await lab.create(spec("a-life", tag="of mine", environ={"A": "1"}))
    assert (row.status, row.created_at is not None, row.group_name) == ("PENDING", True, "default")
    assert (row.image, row.resources, row.tag) == (IMAGE, SMALL, "of mine")
    assert (row.resource_group, row.domain_name, row.access_key) == ("default", "default", ADMIN.access_key)
    if server.release.sessions:
        row = await reached(lab, row, "RUNNING")
        assert [part.status for part in row.containers] == ["RUNNING"] and row.extra["priority"] == 10
        assert await lab.logs(row.id)
        row = await lab.rename(row.id, "another-life")
        assert row.name == "another-life"
        with pytest.raises(SessionError) as caught:  # The dummy agent knows no run at all.
            await lab.input(row.id, "some-run", "some text")
        assert "run ID" not in caught.value.message  # 26.9.6, when it is not said as it wants it.
    else:
        assert await lab.logs(row.id) == ""
    await told(seen, row.id, "RUNNING" if server.release.sessions else "PENDING")
    end = "TERMINATED" if server.release.sessions else "CANCELLED"
    await lab.destroy(row.id)
    with suppress(AlreadyExists):  # While that one is being ended.
        assert not (await lab.create(spec(row.name))).reused
    assert (await reached(lab, row, end)).terminated_at is not None
    await told(seen, row.id, end)
    following.cancel()
    if not server.release.sessions:
        with pytest.raises(NotFound, match=r"keeps no logs of .*CANCELLED"):
            await lab.logs(row.id)


async def told(seen: list[tuple[str, str]], uid: str, status: str) -> None:
    """Return when a follower has been told of it."""
    async with asyncio.timeout(20):
        while (uid, status) not in seen:
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_restart_is_not_offered_where_there_is_none(server: Server, lab: BackendAI) -> None:
    dialect = await (await lab.client()).dialect()
    assert dialect.release == server.release.number
    if dialect.restarts:
        return
    row = await lab.create(spec())
    with pytest.raises(NotSupported, match="no longer supported"):
        await (await lab.client()).request("PATCH", f"/session/{row.id}")
    with pytest.raises(NotSupported, match="cannot restart"):
        await lab.restart(row.id)
    assert "restart" not in lab.capabilities()


@pytest.mark.asyncio
async def test_statuses_that_it_does_not_know_are_not_sent(lab: BackendAI) -> None:
    client = await lab.client()
    known = (await client.dialect()).statuses
    query = "query($s: String) { compute_session_list(limit: 1, offset: 0, status: $s) { total_count } }"
    assert await client.query(query, {"s": ",".join(known)})
    with pytest.raises(InvalidRequest):
        await client.query(query, {"s": "PENDING,RESIZING" if "PREPARED" in known else "PENDING,PREPARED"})
    row = await lab.create(spec(resources=dict(NEVER)))
    for status in ("live", "all", "PENDING,PREPARED,RESIZING"):
        assert [one.id for one in await lab.list(Query(status=status)) if one.live] == [row.id]
    for status in ("running", "dead", "RESIZING"):
        assert row.id not in [one.id for one in await lab.list(Query(status=status))]


@pytest.mark.asyncio
async def test_refusals_say_what_to_do(server: Server, lab: BackendAI) -> None:
    with pytest.raises(UnknownImage, match=r"lab has no image 'pythn'. Choose from: .*python"):
        await lab.create(spec(image="pythn"))
    for fields, words in (
        ({"resources": SMALL | {"foo.bar": "1"}}, r"foo\.bar"),
        ({"resources": {"cpu": "1", "mem": "1m"}}, "minimum"),
        ({"resource_group": "big"}, "Choose from: default"),
        ({"group": "no-such"}, "Choose from: default"),
        ({"mounts": ["data"]}, "no folder 'data'"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            await lab.create(spec(**fields))
    row = await lab.create(spec("only-once", resources=dict(NEVER)))
    with pytest.raises(AlreadyExists) as caught:
        await lab.create(spec("only-once", reuse_if_exists=False))
    assert caught.value.data == {"existingSessionId": row.id}
    for key, words in (
        (Keypair("AKIANOSUCH0000000000", "x" * 40), "Access key not found"),
        (Keypair(ADMIN.access_key, "x" * 40), "[Ss]ignature mismatch"),
    ):
        other = backend_at(server, **keys(key))
        with pytest.raises(Unauthorized, match=words):
            await other.list(Query())
        await other.close()


@pytest.mark.asyncio
async def test_what_there_is_to_choose_from(lab: BackendAI) -> None:
    choices = await lab.choices()
    assert ([group.name for group in choices.groups], choices.projects, choices.folders) == (
        ["default"],
        ["default"],
        [],
    )
    images = {image.name: image for image in await lab.images()}
    assert images[IMAGE].aliases == ["python"] and images[IMAGE].resources == {"cpu": "1", "mem": "64m"}
    assert (await lab.capacity()).keys() >= {"cpu", "mem"}
