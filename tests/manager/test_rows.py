"""The manager's own rows for this package: equal to those by GraphQL, for who may see them, and complete."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import structs

from jupyter_sessions.backends import local_rows
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.local import Local
from jupyter_sessions.errors import AlreadyExists
from jupyter_sessions.manager.core import snapshots
from jupyter_sessions.manager.core.record import folder_of
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from jupyter_sessions.service.creation import SessionCreation
from jupyter_sessions.wire.bounded import AnswerRefused, lines
from jupyter_sessions.wire.identity import here
from jupyter_sessions.wire.places import place
from jupyter_sessions.wire.signing import Keypair
from tests.manager.records import make_record
from tests.manager.world import SMALL, V8, Rest, ask, configure, ended, kill_manager, run

pytestmark = [pytest.mark.asyncio, pytest.mark.in_memory]

GQL = """query { compute_session_list(limit: 100, offset: 0) { items { name } total_count } }"""
MEASURED = ("age", "cpu_credit_used", "live_stat", "last_stat", "idle_checks")
"""What changes from one look to the next."""


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request that backends send to managers."""
    seen: list[str] = []
    send = ManagerClient._send

    async def noted(self: ManagerClient, method: str, path: str, **options: Any) -> httpx.Response:
        seen.append(f"{method} {path}")
        return await send(self, method, path, **options)

    monkeypatch.setattr(ManagerClient, "_send", noted)
    return seen


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    """The backend as it meets a manager of an earlier version, which does not know our address."""
    monkeypatch.setattr(local_rows, "PATH", "/jupyter-sessions/of-a-later-version")
    return Local("local")


def without_measures(row: SessionInfo) -> dict[str, Any]:
    """All fields of a row, also those that JSON leaves out."""
    shown = structs.asdict(row) | {"containers": [structs.asdict(one) for one in row.containers]}
    for part in (shown, *shown["containers"]):
        for name in MEASURED:
            part.pop(name, None)
    return shown


async def varied(service: SessionService, state: Path, work: Path) -> None:
    """Sessions of many kinds, of which one runs out of time and others wait for it."""
    configure(state, max_sessions=3, folders={"data": str(work)})
    for name, code in (("batch-done", 0), ("batch-failed", 3)):
        await ended(service, await ask(service, name, type="batch", startup_command=f"exit {code}"))
    told = {"tag": "blue", "environ": {"COLOR": "red"}, "mounts": ["data"], "cwd": str(work.parent / "work")}
    first = await run(service, "runs", time_limit="1h", **told)
    await run(service, "cluster", cluster_size=2, resource_opts={"shmem": "64m"}, idle_timeout="30m")
    await run(service, "ports", preopen_ports=[18765])
    await ask(service, "waits-for-room")
    await ask(service, "waits-for-another", dependencies=[first.id])
    await ask(service, "later", starts_at="2d", bootstrap_script="true")
    await service.destroy("local", (await ask(service, "cancelled")).id)


async def test_rows_are_those_of_graphql(
    service: SessionService, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("data", "work"):
        (tmp_path / name).mkdir()
    await varied(service, state, tmp_path / "data")
    backend = service.backend("local")
    compact = {row.id: row for row in await backend.list(Query(status="all"))}
    details = {uid: await backend.get(uid) for uid in compact}
    some = [row.name for row in await backend.list(Query(status="all", limit=3, offset=2))]
    live = {row.name for row in await backend.list(Query())}
    monkeypatch.setattr(local_rows, "PATH", "/jupyter-sessions/of-a-later-version")
    other = Local("local")
    rows = await other.list(Query(status="all"))
    assert len(rows) == 9 and [row.id for row in rows] == [*compact]
    for row in rows:
        assert without_measures(compact[row.id]) == without_measures(row)
        assert without_measures(details[row.id]) == without_measures(await other.get(row.id))
    assert some == [row.name for row in await other.list(Query(status="all", limit=3, offset=2))]
    assert live == {row.name for row in await other.list(Query())}
    await other.close()


async def test_a_create_is_one_request_that_tells_the_row(
    shared: SessionService, requests: list[str]
) -> None:
    row = await ask(shared, "one-request")
    assert (row.name, row.resources, row.reused) == ("one-request", {"cpu": "0.5", "mem": "256m"}, False)
    assert row.containers and row.status_history
    assert requests == ["POST /jupyter-sessions/sessions"]
    assert (await ask(shared, "one-request")).reused
    with pytest.raises(AlreadyExists):
        await ask(shared, "one-request", reuse_if_exists=False)


async def test_a_create_tells_why_a_session_waits(service: SessionService, state: Path) -> None:
    configure(state, max_sessions=1)
    await run(service, "runs")
    rows = await asyncio.gather(*(ask(service, f"waits-{number}") for number in range(8)))
    assert [row.status_info.partition(" ")[0] for row in rows] == ["Waiting"] * 8


async def test_an_older_manager_is_asked_by_graphql(
    shared: SessionService, older: Local, requests: list[str]
) -> None:
    creation = SessionCreation(lambda backend, ref: backend.get(ref))
    row = await creation.create(older, SessionSpec(name="of-old", image="python", resources=SMALL))
    assert (row.name, row.reused) == ("of-old", False)
    assert [one.id for one in await older.list(Query())] == [row.id]
    unknown = requests.count("GET /jupyter-sessions/of-a-later-version")
    assert (await older.get(row.id)).name == "of-old"
    assert (unknown, requests.count("GET /jupyter-sessions/of-a-later-version")) == (1, 1)
    assert requests.count("POST /session") == 1
    changes = older.watch()
    assert [one.id for one in await anext(changes)] == [row.id]
    await older.destroy(row.id, forced=True)
    while True:
        rows = await anext(changes)
        if not rows[-1].live:
            break
    await older.close()


async def test_each_key_is_told_of_its_own(service: SessionService, state: Path) -> None:
    configure(state, max_sessions=1)
    await service.backend("local").capacity()
    async with Rest(V8) as owner:
        people = {"owner": owner}
        for who, wanted in (
            ("admin", {"role": "admin", "domain": "lab"}),
            ("user", {"domain": "lab"}),
            ("stranger", {"domain": "other"}),
        ):
            key = (await owner.send("POST", "/admin/keys", wanted)).json()
            people[who] = Rest(V8, Keypair(key["access_key"], key["secret_key"]))
        ids: list[str] = []
        for who, rest in people.items():
            body = {"name": f"of-{who}", "image": "python", "config": {"resources": SMALL}}
            made = await rest.send("POST", "/jupyter-sessions/sessions", body | {"enqueueOnly": True})
            assert made.status_code == 201, made.text
            ids.append(made.json()["session"]["id"])
        told = {}
        for who, rest in people.items():
            listed, by_id, graphql = (
                await rest.send("GET", "/jupyter-sessions/sessions"),
                await rest.send("GET", f"/jupyter-sessions/sessions?ids={','.join(ids)}"),
                (await rest.send("POST", "/admin/gql", {"query": GQL})).json()["data"],
            )
            told[who] = {row["name"] for row in map(msgspec.json.decode, listed.content.splitlines())}
            assert told[who] == {row["name"] for row in map(msgspec.json.decode, by_id.content.splitlines())}
            assert told[who] == {item["name"] for item in graphql["compute_session_list"]["items"]}
        assert told == {
            "owner": {"of-owner", "of-admin", "of-user", "of-stranger"},
            "admin": {"of-admin", "of-user"},
            "user": {"of-user"},
            "stranger": {"of-stranger"},
        }
        unsigned = await owner.http.get("/jupyter-sessions/sessions")
        assert unsigned.status_code == 401
        many = await owner.send("GET", f"/jupyter-sessions/sessions?ids={',' * 1000}")
        assert many.status_code == 400
        assert (await owner.send("GET", "/jupyter-sessions/sessions?limit=x")).status_code == 400
        for who in ("admin", "user", "stranger"):
            await people[who].http.aclose()


@pytest.mark.real
async def test_a_list_after_a_crash_is_complete(service: SessionService, state: Path) -> None:
    store = Store(state / "sessions.db")
    for number in range(1, 301):
        record = make_record(f"stored-{number:03}")
        record.folder = folder_of(state, record.id)
        Path(record.folder).mkdir(parents=True)
        record.enter("PREPARING")
        record.enter("ERROR", "it failed")
        store.save(record)
        if number % 2:  # The others are of an earlier version.
            snapshots.save_record(record)
    store.set_host(here())
    store.close()
    place().live_file.touch()
    service.feed.start([service.backend("local")])
    listing = await service.list()
    assert (len(listing.sessions), listing.errors) == (300, {})
    assert all(snapshots.has_record(Path(folder_of(state, row.id))) for row in listing.sessions)
    await kill_manager()
    await service.feed.stop()
    rows = await service.backend("local").list(Query())
    assert [row.status for row in rows] == ["ERROR"] * 300


class Slowly(httpx.AsyncByteStream):
    """An answer that comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> Any:
        for piece in self.pieces:
            yield piece


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ((b"a\nb", b"c\n\n", b"d\n"), [b"a", b"bc", b"", b"d"]),
        ((b"a\n", b"x" * 30, b"x" * 30), "more than"),
        ((b"a\n" * 30, b"a\n" * 30), "more than"),
        ((b"a\nb",), "cut off"),
    ],
)
async def test_lines_are_read_within_limits(pieces: tuple[bytes, ...], found: object) -> None:
    request = httpx.Request("GET", "http://manager/")
    response = httpx.Response(200, stream=Slowly(*pieces), request=request)
    read = []
    try:
        async for some in lines(response, 50, 100):
            read += some
    except AnswerRefused as error:
        assert isinstance(found, str) and found in str(error)
    else:
        assert read == found
