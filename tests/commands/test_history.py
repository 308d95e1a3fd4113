"""What has happened to a session, and what does. On a toy that tells; nothing is started."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from jupyter_sessions.commands import parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import NotSupported, SessionNotFound
from jupyter_sessions.model import Event, SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService

pytestmark = pytest.mark.asyncio

NOON = datetime(2026, 8, 6, 12, tzinfo=UTC)
WAITS, PULLS = Event("PENDING: waiting for 1 GPU", NOON), Event("Pulling\x1b[31m image", None)
HISTORY = {
    "PENDING": [WAITS],
    "PREPARING": [Event("PENDING", NOON), PULLS],
    "RUNNING": [Event("PENDING", NOON), PULLS, Event("RUNNING", NOON.replace(minute=1))],
    "TERMINATED": [WAITS, PULLS, Event("TERMINATED", NOON.replace(minute=2))],
}


class Telling(SessionService):
    """A toy whose session goes through these statuses, one a look."""

    def __init__(self, *steps: str) -> None:
        backends = {"toy": {"type": "toy"}}
        super().__init__(JupyterSessions(backends=backends, enabled_backends=["toy"], default_backend="toy"))
        self.steps = [*steps]
        self.gone = False

    async def get(self, backend: str, id: str) -> SessionInfo:
        """The row at the next step, the last for ever, unless it is gone then."""
        if self.gone and len(self.steps) == 1:
            raise SessionNotFound("It is gone.")
        if len(self.steps) > 1:
            self.steps.pop(0)
        return structs.replace(await super().get(backend, id), status=self.steps[0])

    async def events(self, backend: str, id: str) -> list[Event]:
        """Those up to the step."""
        return HISTORY[self.steps[0]]


async def told(service: Telling, line: str) -> list[str]:
    """What is said; the session is called mine."""
    await service.create(SessionSpec(name="mine"))
    said: list[str] = []
    await perform(service, parse(line), said.append)
    return [text.rpartition("  ")[2] for text in said]


async def test_events_are_told_as_they_come_each_once_until_it_runs(toys: Path) -> None:
    service = Telling("", "PENDING", "PENDING", "PREPARING", "PREPARING", "RUNNING", "TERMINATED")
    assert await told(service, "events mine") == [
        "PENDING: waiting for 1 GPU",
        "Pulling?[31m image",
        "RUNNING",
    ]
    assert service.steps == ["RUNNING", "TERMINATED"]


async def test_they_are_followed_to_the_end(toys: Path) -> None:
    for option in ("-f", "--follow"):
        service = Telling("", "RUNNING", "RUNNING", "TERMINATED")
        said = await told(service, f"events mine {option}")
        assert said == [
            "PENDING",
            "Pulling?[31m image",
            "RUNNING",
            "PENDING: waiting for 1 GPU",
            "TERMINATED",
        ]


async def test_the_times_stand_before_them(toys: Path) -> None:
    service, said = Telling("", "PENDING", "RUNNING"), list[str]()
    await service.create(SessionSpec(name="mine"))
    await perform(service, parse("events mine"), said.append)
    assert said[0] == f"{NOON.astimezone().isoformat(' ', 'seconds')}  PENDING: waiting for 1 GPU"


async def test_one_that_its_backend_forgets_has_ended(toys: Path) -> None:
    service = Telling("", "RUNNING")
    service.gone = True
    assert (await told(service, "events -f mine"))[-1] == "mine has ended."
    with pytest.raises(SessionNotFound, match="no session 'other'"):
        await perform(service, parse("events other"), print)


async def test_a_backend_that_does_not_tell_says_so(toys: Path) -> None:
    toy: Any = importlib.import_module("toy_sessions")
    backends = {"toy": {"type": "toy"}}
    service = SessionService(
        JupyterSessions(backends=backends, enabled_backends=["toy"], default_backend="toy")
    )
    assert "events" not in toy.Toy("toy").capabilities()
    await service.create(SessionSpec(name="mine"))
    with pytest.raises(NotSupported, match="'toy' cannot tell what happened to sessions"):
        await perform(service, parse("events mine"), print)
