"""How often backends are asked: by a clock that is given, and once by the real one."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from jupyter_sessions.backends.polling import LOOK_SECONDS, SLOW_SECONDS, Looking, Pace, unsettled
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def row(status: str) -> SessionInfo:
    """A session of that status."""
    return SessionInfo(
        backend="lab", id=status, name="one", image="x", type="batch", status=status, status_info="",
        resources={}, services=[], created_at=datetime.now(UTC),
    )  # fmt: skip


def pauses(pace: Pace, soon: bool, times: int = 12) -> list[float]:
    """Pauses in which nothing changes, after something had."""
    first = pace.pause(soon=soon, changed=True)
    return [first, *(pace.pause(soon=soon, changed=False) for _ in range(times))]


def test_what_begins_or_ends_is_looked_at_soon() -> None:
    clock = Clock()
    looking = Looking(clock)
    pace = Pace(5.0, looking)
    assert pauses(pace, soon=False)[:4] == [5.0, 7.5, 11.25, 16.875]
    assert pauses(pace, soon=False)[-1] == SLOW_SECONDS  # Nobody looks.
    assert pauses(pace, soon=True)[:3] == [1.0, 1.5, 2.25]
    assert pauses(pace, soon=True)[-1] == SLOW_SECONDS  # A night in the queue.
    looking.once()
    assert set(pauses(pace, soon=False)) == {5.0}
    assert pauses(pace, soon=True)[:3] == [1.0, 1.5, 2.25] and pauses(pace, soon=True)[-1] == 5.0
    clock.now += LOOK_SECONDS
    assert pauses(pace, soon=False)[-1] == SLOW_SECONDS
    with looking.held():
        clock.now += 10 * LOOK_SECONDS
        assert set(pauses(pace, soon=False)) == {5.0}
    assert pauses(pace, soon=False)[-1] == SLOW_SECONDS
    assert max(pauses(Pace(120.0, looking), soon=False)) == 120.0


def test_what_begins_or_ends() -> None:
    statuses = ["PENDING", "PREPARING", "NEWER_THAN_WE", "TERMINATING", "RUNNING", "ERROR", "CANCELLED"]
    assert [row.status for row in unsettled(map(row, statuses))] == statuses[:4]


@pytest.mark.asyncio
@pytest.mark.timeout(20)
async def test_a_look_or_a_change_that_was_asked_for_ends_a_pause() -> None:
    for wake in (Looking.once, Looking.hurry):
        looking = Looking()
        pace = Pace(30.0, looking)
        resting = asyncio.create_task(pace.rest(soon=False, changed=True))
        await asyncio.sleep(0)
        began = time.monotonic()
        wake(looking)
        await resting
        assert time.monotonic() - began < 10
    looking.hurry()  # Also one that comes while the backend is being asked.
    await pace.rest(soon=False, changed=True)


@pytest.mark.asyncio
@pytest.mark.usefixtures("toys")
async def test_who_makes_a_session_or_follows_looks() -> None:
    from jupyter_sessions.config import JupyterSessions

    service = SessionService(
        JupyterSessions(backends={"toy": {}}, enabled_backends=["toy"], default_backend="toy")
    )
    looking = service.backends["toy"].looking
    assert not looking
    await service.create(SessionSpec(name="mine"))
    assert not looking.begun.is_set()  # It runs: there is nothing to wait for.
    with service.looked_at():
        assert looking
    for look in (service.list, service.describe):
        looking._until = 0
        await look()
        assert looking and looking.begun.is_set()
    looking._until = 0
    service.look()
    assert looking
    await service.close()
