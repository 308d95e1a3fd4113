"""What backends are asked for: specs that the service has completed and checked."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from jupyter_sessions.backends.base import SessionRequest
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import AlreadyExists, InvalidRequest, NotEnough, NotSupported
from jupyter_sessions.model import Image, ProcessId, SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService, create_replicas
from jupyter_sessions.wire.identity import own_identity

pytestmark = pytest.mark.asyncio


@pytest.fixture
def service(toys: Path) -> SessionService:
    config = JupyterSessions(
        backends={"toy": {"type": "toy"}}, enabled_backends=["toy"], default_backend="toy"
    )
    return SessionService(config)


@pytest.fixture
def requests(service: SessionService, monkeypatch: pytest.MonkeyPatch) -> list[SessionRequest]:
    """The requests that the toy gets."""
    kind, got = type(service.backends["toy"]), list[SessionRequest]()
    create = kind.create

    async def recorded(self: object, request: SessionRequest) -> SessionInfo:
        got.append(request)
        return await create(self, request)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "create", recorded)
    return got


def offer(service: SessionService, monkeypatch: pytest.MonkeyPatch, **minimum: str) -> None:
    """Let the toy offer one image."""

    async def images(self: object) -> list[Image]:
        return [Image(name="lab/python:3", aliases=["python"], resources=minimum, types=["headless"])]

    monkeypatch.setattr(type(service.backends["toy"]), "images", images)


async def test_values_come_in_one_form(service: SessionService, requests: list[SessionRequest]) -> None:
    first = await service.create(SessionSpec(name="first"))
    now = datetime.now(UTC)
    asked: dict[str, Any] = {
        "resources": {"cpus": "2.0", "memory": "1.5 GiB", "cuda.devices": 1, "tpu.device": None},
        "idle_timeout": "1h30m",
        "time_limit": 60,
        "batch_timeout": "2d",
        "starts_at": "5m",
        "dependencies": ["first", f"toy/{first.name}", first.id],
    }
    await service.create(SessionSpec(name="second", type="headless", **asked))
    request = requests[-1]
    assert request.resources == {"cpu": Decimal(2), "mem": Decimal(3 * 512 * 1024**2), "cuda.device": 1}
    assert (request.idle_timeout, request.time_limit, request.batch_timeout) == (5400, 60, 172_800)
    assert request.starts_at and timedelta(minutes=4) < request.starts_at - now < timedelta(minutes=6)
    assert (request.type, request.dependencies) == ("batch", [first.id] * 3)
    for field, value in (("starts_at", "soon"), ("time_limit", "x"), ("dependencies", ["nobody"])):
        with pytest.raises(InvalidRequest) as caught:
            await service.create(SessionSpec(name="third", **{field: value}))
        assert caught.value.field == field
    assert len(requests) == 2


async def test_the_environment_holds_no_secrets(
    service: SessionService, requests: list[SessionRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "secret")
    monkeypatch.setenv("ORDINARY", "as it is")
    await service.create(SessionSpec(name="mine", environ={"OWN": "value"}))
    environment = requests[0].environment()
    assert "JUPYTER_TOKEN" not in environment and environment["PATH"] == os.environ["PATH"]
    assert (environment["ORDINARY"], environment["OWN"]) == ("as it is", "value")


async def test_an_image_gives_the_type_and_the_least_amounts(
    service: SessionService, requests: list[SessionRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(service, monkeypatch, cpu="0.5", mem="1g")
    await service.create(SessionSpec(name="mine", image="lab/python:3", resources={"cpu": 2}))
    assert requests[0].type == "batch"
    assert requests[0].resources == {"cpu": Decimal(2), "mem": Decimal(1024**3)}
    with pytest.raises(InvalidRequest, match="smaller than the minimum required by the image") as caught:
        await service.create(SessionSpec(name="small", image="python", resources={"mem": "512m"}))
    assert caught.value.field == "mem" and len(requests) == 1


async def test_a_live_name_with_the_same_image_comes_back(
    service: SessionService, requests: list[SessionRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(service, monkeypatch)
    spec = SessionSpec(name="mine", image="lab/python:3")
    first, *others = await asyncio.gather(*(service.create(structs.replace(spec)) for _ in range(5)))
    assert (
        {row.id for row in others} == {first.id} and all(row.reused for row in others) and len(requests) == 1
    )
    assert (await service.create(SessionSpec(name="mine", image="python"))).reused, "an alias of the image"
    for changes in ({"image": "other"}, {"reuse_if_exists": False}):
        with pytest.raises(AlreadyExists) as caught:
            await service.create(structs.replace(spec, **changes))
        assert caught.value.data == {"existingSessionId": first.id}
    await service.destroy("toy", first.id)
    assert not (await service.create(structs.replace(spec))).reused


async def test_a_notebook_whose_server_died_gets_its_session_back(
    service: SessionService, requests: list[SessionRequest]
) -> None:
    dead = structs.replace(own_identity(), start_time=1)
    gone, here = (ProcessId(*structs.astuple(one)) for one in (dead, own_identity()))
    spec = SessionSpec(image="lab/python:3", notebook_path="/n.ipynb", owner=gone, resources={"cpu": 1})
    first = await service.create(structs.replace(spec, name="first"))
    others: list[dict[str, Any]] = [
        {"notebook_path": "/m.ipynb"},
        {"resources": {"cpu": 2}},
        {"image": "lab/r:4"},
        {"owner": None},
    ]
    for number, changes in enumerate(others):
        row = await service.create(structs.replace(spec, name=f"other-{number}", **changes))
        assert not row.reused, changes
    again = await service.create(structs.replace(spec, name="again", owner=here))
    assert (again.id, again.reused) == (first.id, True)
    rows: dict[str, SessionInfo] = service.backends["toy"].rows  # type: ignore[attr-defined]
    rows[first.id] = structs.replace(rows[first.id], owner=here)
    assert not (
        await service.create(structs.replace(spec, name="new", image="lab/python:3", owner=here))
    ).reused


def having(kind: str) -> SessionService:
    return SessionService(
        JupyterSessions(backends={kind: {"type": kind}}, enabled_backends=[kind], default_backend=kind)
    )


async def test_replicas_are_one_request_where_the_backend_has_that(toys: Path) -> None:
    service = having("arrays")
    rows, failures = await create_replicas(service, SessionSpec(name="job", resources={"cpu": 1}, replicas=3))
    assert failures == [] and [(row.name, row.tag) for row in rows] == [
        (f"job-{number}", f"{number} of 3") for number in (1, 2, 3)
    ]
    rows, failures = await create_replicas(service, SessionSpec(name="job", resources={"cpu": 1}, replicas=4))
    assert [(row.reused, row.tag) for row in rows[:3]] == [(True, f"{number} of 3") for number in (1, 2, 3)]
    assert failures == [] and not rows[3].reused and rows[3].tag is None, "some live: each by itself"
    with pytest.raises(InvalidRequest, match="lower-case"):
        await service.create_many(SessionSpec(name="much-too-long-for-it", replicas=2))
    with pytest.raises(NotSupported):
        await having("toy").create_many(SessionSpec(name="job", replicas=3))


@pytest.mark.parametrize(
    ("fields", "error", "said"),
    [
        ({"resource_group": "none"}, InvalidRequest, "There are: cpu-nodes, gpu-nodes"),
        ({"resources": {"cpu": 5}}, NotEnough, "A session in 'cpu-nodes' can have at most 4 CPU"),
        ({"time_limit": "2h"}, InvalidRequest, "A session in 'cpu-nodes' can run for at most 1 h"),
    ],
)
async def test_groups_have_limits(
    toys: Path, fields: dict[str, Any], error: type[Exception], said: str
) -> None:
    service = having("choosy")
    spec = SessionSpec(name="mine", resource_group="cpu-nodes", resources={"cpu": 4}, time_limit="1h")
    with pytest.raises(error, match=said):
        await service.create(structs.replace(spec, **fields))
    assert (await service.create(spec)).resources == {"cpu": "4"}
