"""What people read when the network or what stands in it fails, and that nothing is lost or doubled by it."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyter_sessions.backends import local
from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.backends.session_request import SessionRequest, normalized
from jupyter_sessions.backends.skaha import Skaha
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import BackendUnavailable, RateLimited, SessionError
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from jupyter_sessions.testing import end_sessions
from tests import between as faults
from tests.between import Between, Fault, faulty
from tests.interop.backendai_server import IMAGE, Server

pytestmark = pytest.mark.asyncio

SECONDS = 2.0
PAGE = "<!DOCTYPE html><title>Sign in</title>"
FAULTS: dict[str, tuple[Fault, str, str]] = {
    "late": (faults.late(30), "BackendTimeout", "lab did not answer in time. Try again."),
    "reset": (faults.refused, "BackendUnavailable", "lab cannot be reached: "),
    "lost": (faults.lost, "BackendUnavailable", "lab cannot be reached: "),
    "half": (faults.half, "BackendUnavailable", "lab cannot be reached: "),
    "trickle": (faults.trickle, "BackendTimeout", "lab did not answer in time. Try again."),
    "500": (faults.answer(500, PAGE), "BadAnswer", "lab answered 500"),
    "502": (faults.answer(502, PAGE), "BackendUnavailable", "lab answered 502"),
    "503": (faults.answer(503, PAGE, Retry_After="7"), "BackendUnavailable", "Try again in 7 s."),
    "429": (faults.answer(429, PAGE, Retry_After="9"), "RateLimited", "Try again in 9 s."),
    "no JSON": (
        faults.answer(200, '{"version": ', "application/json"),
        "BadAnswer",
        "something that is no JSON",
    ),
    "a page": (faults.answer(200, PAGE), "BadAnswer", "lab answered"),
    "a loop": (faults.answer(302, "", Location="/"), "BadAnswer", "lab "),
}


@pytest_asyncio.fixture
async def between(backendai: Server) -> AsyncIterator[Between]:
    """The real manager, with something between."""
    async with faulty(backendai.endpoint) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def lab(backendai: Server, between: Between) -> AsyncIterator[BackendAI]:
    """A backend on the other side of it; its sessions are ended, by one that has more patience."""
    options = {name: value for name, value in backendai.options().items() if name != "type"}
    made = BackendAI("lab", **options | {"endpoint": between.url, "timeout": str(SECONDS)})
    patient = BackendAI("lab", **options)
    yield made
    await made.close()
    await end_sessions(patient)
    await patient.close()


@pytest_asyncio.fixture
async def skaha_between(machine: Path) -> AsyncIterator[Between]:
    """This machine's own Skaha face, with something between."""
    contact = await asyncio.to_thread(lambda: local.find() or local.start())
    async with faulty(f"{contact.url}/skaha") as proxy:
        yield proxy


@pytest_asyncio.fixture
async def skaha(skaha_between: Between) -> AsyncIterator[Skaha]:
    """A backend on the other side of it."""
    contact = local.find()
    assert contact is not None
    made = Skaha("lab", url=skaha_between.url, token=contact.bearer(), timeout=str(SECONDS))
    yield made
    await made.close()


def spec(**fields: Any) -> SessionRequest:
    """A small session with a name of its own, as a backend gets it."""
    given = {
        "name": f"faults-{secrets.token_hex(4)}",
        "image": IMAGE,
        "resources": {"cpu": "1", "mem": "128m"},
    }
    return normalized(SessionSpec(backend="lab", **(given | fields)))


async def read(backend: Backend, between: Between, fault: Fault) -> tuple[str, str, float]:
    """The kind and text of the error that a list meets with, and how many seconds it took; then it works again."""
    between.break_with(fault)
    began = time.monotonic()
    with pytest.raises(SessionError) as caught:
        await backend.list(Query())
    took = time.monotonic() - began
    between.heal()
    await backend.list(Query())
    return caught.value.reason, str(caught.value), took


@pytest.mark.parametrize("name", FAULTS)
async def test_backendai_says_what_ails_it(lab: BackendAI, between: Between, name: str) -> None:
    fault, reason, words = FAULTS[name]
    await lab.list(Query())
    said = await read(lab, between, fault)
    assert said[0] == reason and words in said[1], said
    assert said[2] < SECONDS + 3


@pytest.mark.parametrize("name", FAULTS)
async def test_skaha_says_what_ails_it(skaha: Skaha, skaha_between: Between, name: str) -> None:
    fault, reason, words = FAULTS[name]
    said = await read(skaha, skaha_between, fault)
    assert said[0] == reason and words in said[1], said
    assert said[2] < SECONDS + 3


ANSWERS_LOST = {
    "lost": faults.lost,
    "half": faults.half,
    "late": faults.late(10),
    "trickle": faults.trickle,
    "502": faults.answer(502, PAGE, after=True),
    "504": faults.answer(504, PAGE, after=True),
    "a page": faults.answer(200, PAGE, after=True),
}


@pytest.mark.parametrize("name", ANSWERS_LOST)
async def test_a_session_whose_answer_is_lost_is_found_and_not_doubled(
    lab: BackendAI, between: Between, name: str
) -> None:
    between.break_with(ANSWERS_LOST[name], on="POST", path="/session")
    asked = spec()
    row = await lab.create(asked)
    assert (row.name, row.live, row.reused) == (asked.name, True, False)
    assert between.count("POST /session") == 1
    assert [other.id for other in await lab.list(Query()) if other.name == asked.name] == [row.id]


async def test_a_session_is_not_lost_when_it_cannot_be_looked_at(lab: BackendAI, between: Between) -> None:
    await lab.list(Query())
    between.break_with(faults.refused, on="POST", path="/admin/gql")
    with pytest.raises(BackendUnavailable):  # Who has its name is asked first.
        await lab.create(spec(group="default"))
    assert between.count("POST /session") == 0
    between.on = lambda asked: "/admin/gql" in asked.target and between.count("POST /session") > 0
    row = await lab.create(spec(group="default"))
    between.heal()
    assert (row.status, (await lab.get(row.id)).name) == ("PENDING", row.name)


async def test_a_request_that_never_arrived_makes_nothing(lab: BackendAI, between: Between) -> None:
    between.break_with(faults.refused, on="POST", path="/session")
    asked = spec()
    with pytest.raises(SessionError) as caught:
        await lab.create(asked)
    assert (caught.value.reason, "look at the list" in str(caught.value)) == ("BackendUnavailable", True)
    assert asked.name not in [row.name for row in await lab.list(Query())]


async def test_what_is_ended_and_not_answered_is_ended(lab: BackendAI, between: Between) -> None:
    row = await lab.create(spec(resources={"cpu": "900", "mem": "128m"}))
    for fault, status in ((faults.refused, "PENDING"), (faults.lost, "CANCELLED")):
        between.break_with(fault, on="DELETE", times=1)
        with pytest.raises(SessionError, match="cannot be reached"):
            await lab.destroy(row.id)
        assert (await lab.get(row.id)).status == status


def job(**fields: Any) -> SessionRequest:
    """Something for this machine that runs on."""
    image = f"local/jupyter/python:{sys.version_info[0]}.{sys.version_info[1]}"
    small = {"cpu": "0.1", "mem": "128m"}
    return spec(image=image, resources=small, type="batch", startup_command="sleep 600", **fields)


async def names(skaha: Skaha) -> list[str]:
    """The names of all that live."""
    return sorted(row.name for row in await skaha.list(Query()))


@pytest.mark.parametrize("name", [*ANSWERS_LOST, "500"])
async def test_skaha_finds_a_session_whose_answer_is_lost(
    skaha: Skaha, skaha_between: Between, name: str
) -> None:
    fault = ANSWERS_LOST.get(name) or faults.answer(500, PAGE, after=True)
    skaha_between.break_with(fault, on="POST", path="/session")
    asked = job()
    row = await skaha.create(asked)
    assert (row.name, row.live, row.reused) == (asked.name, True, False)
    assert skaha_between.count("POST") == 1
    skaha_between.heal()
    assert await names(skaha) == [asked.name]


async def test_skaha_makes_nothing_of_what_never_arrived(skaha: Skaha, skaha_between: Between) -> None:
    for fault in (faults.refused, faults.answer(503, PAGE, Retry_After="7"), faults.answer(429, PAGE)):
        skaha_between.break_with(fault, on="POST", path="/session")
        with pytest.raises((BackendUnavailable, RateLimited)):
            await skaha.create(job())
        skaha_between.heal()
        assert await names(skaha) == []
    assert skaha_between.count("POST") == 3
    assert (await skaha.create(job())).live


async def test_skaha_does_not_lose_what_cannot_be_looked_at(skaha: Skaha, skaha_between: Between) -> None:
    asked = job()
    skaha_between.break_with(faults.refused, on="GET", path="/session/")
    row = await skaha.create(asked)
    skaha_between.break_with(faults.lost, on="DELETE")
    with pytest.raises(BackendUnavailable, match="cannot be reached"):
        await skaha.destroy(row.id)
    skaha_between.heal()
    async with asyncio.timeout(20):
        while await names(skaha):
            await asyncio.sleep(0.1)


async def test_a_list_of_skaha_recovers_by_itself(skaha: Skaha, skaha_between: Between) -> None:
    """As the panel sees it: what happens while all is down is told once it is not."""
    settings = {"type": "skaha", **skaha.options, "url": skaha_between.url}
    service = SessionService(
        JupyterSessions(backends={"lab": settings}, enabled_backends=["lab"], default_backend="lab")
    )
    service.feed.start(service.backends.values())
    contact = local.find()
    assert contact is not None
    straight = Skaha("lab", url=f"{contact.url}/skaha", token=contact.bearer())
    try:
        await _until(lambda: "lab" in service.feed.synced)
        first = await straight.create(job())
        await _until(lambda: first.id in _ids(service.feed.rows("lab")))
        skaha_between.break_with(faults.answer(503, PAGE, Retry_After="7"))
        await _until(lambda: "lab" in service.feed.errors)
        assert "Try again in 7 s." in service.feed.errors["lab"]
        assert (await service.list()).errors["lab"] == service.feed.errors["lab"]
        second = await straight.create(job())
        await straight.destroy(first.id)
        skaha_between.heal()
        await service.list()  # Somebody looks.
        await _until(lambda: _ids(service.feed.rows("lab")) == {second.id})
        assert "lab" not in service.feed.errors
    finally:
        await straight.close()
        await service.close()


async def test_the_panel_recovers_by_itself(backendai: Server, between: Between) -> None:
    """The stream of events breaks, all is down for a time, and then what happened meanwhile is told."""
    options = backendai.options() | {"endpoint": between.url, "timeout": str(SECONDS)}
    service = SessionService(
        JupyterSessions(backends={"lab": options}, enabled_backends=["lab"], default_backend="lab")
    )
    service.feed.start(service.backends.values())
    straight = BackendAI("lab", **{key: value for key, value in backendai.options().items() if key != "type"})
    try:
        await _until(lambda: "lab" in service.feed.synced)
        first = await straight.create(spec(resources={"cpu": "900", "mem": "128m"}))
        await _until(lambda: first.id in _ids(service.feed.rows("lab")))
        between.break_with(faults.answer(503, PAGE, Retry_After="1"))
        between.cut()
        await _until(lambda: "lab" in service.feed.errors)
        assert "503" in service.feed.errors["lab"]
        second = await straight.create(spec(resources={"cpu": "900", "mem": "128m"}))
        await straight.destroy(first.id, forced=True)
        between.heal()
        await _until(lambda: _ids(service.feed.rows("lab")) == {second.id})
        assert "lab" not in service.feed.errors
        between.cut()
        third = await straight.create(spec(resources={"cpu": "900", "mem": "128m"}))
        await _until(lambda: third.id in _ids(service.feed.rows("lab")))
    finally:
        between.heal()
        await end_sessions(straight)
        await straight.close()
        await service.close()


def _ids(rows: list[SessionInfo]) -> set[str]:
    return {row.id for row in rows}


async def _until(true: Any, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.05)
