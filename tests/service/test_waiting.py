"""Waiting for a session: no more often than its backend wants to be asked, and no longer than there is hope."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from jupyter_sessions.backends.base import Query
from jupyter_sessions.commands import parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import LaunchFailed
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from tests.waiting import until

pytestmark = pytest.mark.asyncio


@pytest.fixture
def service(toys: Path) -> SessionService:
    return SessionService(
        JupyterSessions(backends={"toy": {"type": "toy"}}, enabled_backends=["toy"], default_backend="toy")
    )


@pytest.mark.parametrize("in_a_server", [False, True])
async def test_many_who_wait_ask_no_more_often_than_one(
    service: SessionService, monkeypatch: pytest.MonkeyPatch, in_a_server: bool
) -> None:
    toy: Any = service.backends["toy"]
    asked: Counter[str] = Counter()
    lists, gets = type(toy).list, type(toy).get

    async def counted_list(self: object, query: Query) -> list[SessionInfo]:
        asked["list"] += 1
        rows: list[SessionInfo] = await lists(self, query)
        return rows

    async def counted_get(self: object, id: str) -> SessionInfo:
        asked["get"] += 1
        return await gets(self, id)

    monkeypatch.setattr(type(toy), "list", counted_list)
    monkeypatch.setattr(type(toy), "get", counted_get)
    if in_a_server:
        service.feed.start(service.backends.values())
    row = await service.create(SessionSpec(name="mine"))
    toy.rows[row.id] = structs.replace(row, status="PENDING")

    async def last() -> SessionInfo:
        return [row async for row in service.wait("toy", row.id, lambda row: row.status == "RUNNING")][-1]

    waiting = [asyncio.create_task(last()) for _ in range(20)]
    until_polled = asked["list"] + 5
    await until(lambda: asked["list"] >= until_polled)
    assert asked["get"] <= 2 * 20, "each has looked once, and once more at what the feed told of it"
    asked.clear()
    toy.rows[row.id] = structs.replace(row, status="RUNNING", status_changed=datetime.now(UTC))
    assert {row.status for row in await asyncio.gather(*waiting)} == {"RUNNING"}
    assert asked["get"] == 20
    await service.close()
    assert not service.feed.watches("toy")


async def test_what_will_never_start_is_not_waited_for(
    service: SessionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(service.backends["toy"])
    begin, when = kind.create, datetime(2030, 1, 31, 8, tzinfo=UTC)

    async def create(self: object, spec: SessionSpec) -> SessionInfo:
        row = await begin(self, spec)  # type: ignore[arg-type]
        hopeless = spec.name == "never"
        why = "it asks for more CPUs than any node has" if hopeless else "waiting for a node"
        row = structs.replace(
            row,
            status="PENDING",
            status_info=why,
            hopeless=hopeless,
            expected_at=None if hopeless else when,
        )
        self.rows[row.id] = row  # type: ignore[attr-defined]
        return structs.replace(row)

    monkeypatch.setattr(kind, "create", create)
    said: list[str] = []
    with pytest.raises(LaunchFailed, match="more CPUs than any node has") as caught:
        await perform(service, parse("create toyland --name never"), said.append)
    assert caught.value.hint == "As things are it never starts: `%session rm never` cancels it."
    await perform(service, parse("create toyland --name later --enqueue-only"), said.append)
    local = when.astimezone().isoformat(" ", "seconds")
    assert said[-1].endswith(f"toyland on toy. It is expected to start at {local}.")
