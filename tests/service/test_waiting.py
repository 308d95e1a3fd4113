"""Waiting for a session: as often as its backend wants to be asked, and no longer than there is hope."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from jupyter_sessions.commands import parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import LaunchFailed
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio


@pytest.fixture
def service(toys: Path) -> SessionService:
    return SessionService(
        JupyterSessions(backends={"toy": {"type": "toy"}}, enabled_backends=["toy"], default_backend="toy")
    )


@pytest.mark.parametrize(("poll_seconds", "longest"), [(0.05, 1.0), (5.0, 1.0), (60.0, 12.0)])
async def test_a_backend_is_asked_less_often_that_wants_to_be(
    service: SessionService, monkeypatch: pytest.MonkeyPatch, poll_seconds: float, longest: float
) -> None:
    pauses: list[float] = []

    async def changed(self: object, row: SessionInfo, seconds: float) -> None:
        pauses.append(seconds)

    kind = type(service.backends["toy"])
    monkeypatch.setattr(kind, "changed", changed)
    monkeypatch.setattr(kind, "poll_seconds", poll_seconds)
    row = await service.create(SessionSpec(name="mine"))
    async for _ in service.wait("toy", row.id, lambda row: len(pauses) > 30):
        pass
    assert pauses[0] < 0.1 and max(pauses) == pauses[-1] == pytest.approx(longest)


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
