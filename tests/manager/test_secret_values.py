"""Values of secrets reach the session's processes and nothing that is stored or shown."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from jupyter_sessions.backends.base import Query
from jupyter_sessions.channels.journal_messages import Selection
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import place
from tests.manager.world import V8, Rest, ask, ended, kill_manager, reach, run, says

pytestmark = pytest.mark.asyncio

VALUE, OTHER = "xyzzy-plugh-4711", "waldo-fred-0815"
LOOK = "import os; print(*(len(os.environ[name]) for name in ('PET', 'DB_TOKEN', 'PLAIN')))"
LENGTHS = f"{len(VALUE)} {len(OTHER)} 5"


def written(*folders: Path) -> list[Path]:
    """The files below folders that hold a secret."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                found += [path] if VALUE.encode() in content or OTHER.encode() in content else []
    return found


async def test_a_secret_is_known_to_its_session_alone(
    service: SessionService, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PET", VALUE)
    environ = {"PET": VALUE, "DB_TOKEN": OTHER, "PLAIN": "shown"}
    row = await run(service, "secretive", environ=environ, secrets=["PET"], cwd=str(state.parent))
    assert (row.environ, row.secrets) == ({"PLAIN": "shown"}, ["DB_TOKEN", "PET"])
    assert await says(service, row, LOOK) == LENGTHS
    told = [msgspec.json.encode(await service.list(status="all"))]
    told += [
        msgspec.json.encode(one) for one in await service.backends["local"].list(Query(fields=("environ",)))
    ]
    told += [msgspec.json.encode(await service.get("local", row.id))]
    told += [(await service.logs("local", row.id)).encode()]
    told += [msgspec.json.encode(await service.events("local", row.id))]
    told += [msgspec.json.encode(await service.outputs("local", row.id, Selection()))]
    async with Rest(V8) as rest:
        told += [(await rest.send("GET", f"/session/{row.id}")).content]
        query = {
            "query": "{ compute_session_list(limit: 10, offset: 0) { items { id local } } }",
            "variables": {},
        }
        told += [(await rest.send("POST", "/admin/gql", query)).content]
    assert any(b"DB_TOKEN" in one for one in told)
    assert [one for one in told if VALUE.encode() in one or OTHER.encode() in one] == []
    folders = (state.parent, place().run_folder(), Path(os.environ["HOME"]))
    assert written(*folders) == []
    await service.destroy("local", row.id, forced=True)
    last = await ended(service, row)
    assert (last.environ, last.secrets) == ({"PLAIN": "shown"}, ["DB_TOKEN", "PET"])
    assert written(*folders) == []


async def test_it_is_there_after_a_restart_by_a_later_manager(service: SessionService, state: Path) -> None:
    environ = {"PET": VALUE, "DB_TOKEN": OTHER, "PLAIN": "shown"}
    row = await run(service, "secretive", environ=environ, secrets=["PET"])
    assert await says(service, row, LOOK) == LENGTHS
    await kill_manager()
    await service.restart("local", row.id)
    assert await says(service, row, LOOK) == LENGTHS


async def test_one_that_waits_says_what_became_of_its_secret(service: SessionService, state: Path) -> None:
    whole = (await service.describe("local"))[0].capacity["cpu"].total
    first = await run(service, "first", resources={"cpu": whole, "mem": "128m"})
    row = await ask(service, "secretive", environ={"PET": VALUE}, secrets=["PET"])
    assert row.status == "PENDING"
    await kill_manager()
    await service.destroy("local", first.id, forced=True)
    row = await reach(service, row, "ERROR", "TERMINATED")
    assert "The value of PET was lost when the session manager was restarted." in row.status_info
    assert written(state, place().run_folder()) == []


async def test_vendors_clients_name_no_secrets_and_theirs_are_seen_by_their_names(
    shared: SessionService,
) -> None:
    await shared.list(status="all")
    await shared.describe("local")
    body = {"name": "vendors", "image": "python3", "config": {"environ": {"API_KEY": VALUE, "A": "b"}}}
    async with Rest(V8) as rest:
        made = await rest.send("POST", "/session", body)
        assert made.status_code == 201, made.text
        info = (await rest.send("GET", "/session/vendors")).json()
    assert json.loads(info["environ"]) == {"A": "b"}


async def test_a_secret_without_a_value_is_refused(shared: SessionService) -> None:
    spec = SessionSpec(name="secretive", image="python3", secrets=["PET"])
    with pytest.raises(InvalidRequest, match="The secret 'PET' has no value") as caught:
        await shared.create(spec)
    assert caught.value.field == "secrets" and "--secret PET" in caught.value.hint
