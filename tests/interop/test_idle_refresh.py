"""What it costs to look again when nothing has changed: requests and bytes on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from jupyter_sessions.backends import local
from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.polling import QUICK_SECONDS
from jupyter_sessions.backends.skaha import Skaha
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from tests.between import Between, faulty, silent

pytestmark = pytest.mark.asyncio

WAITING = 20
MOST = {"backendai": 250, "skaha": 600}
"""Bytes a session; Skaha has no choice of fields."""


@pytest_asyncio.fixture
async def between(machine: object) -> AsyncIterator[Between]:
    """This machine's manager, as a remote one that something stands before."""
    contact = await asyncio.to_thread(lambda: local.find() or local.start())
    async with faulty(contact.url) as proxy:
        yield proxy


@pytest.fixture(params=["backendai", "skaha"])
def backend(request: pytest.FixtureRequest, between: Between) -> Backend:
    """A backend on the other side of it."""
    contact = local.find()
    assert contact is not None
    if request.param == "skaha":
        return Skaha("lab", url=f"{between.url}/skaha", token=contact.bearer())
    keys = {"access_key": contact.keypair.access_key, "secret_key": contact.keypair.secret_key}
    return BackendAI("lab", endpoint=between.url, **keys)


@pytest_asyncio.fixture
async def waiting(between: Between) -> None:
    """Sessions that wait for tomorrow."""
    service = SessionService(JupyterSessions())
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for number in range(WAITING):
        await service.create(
            SessionSpec(
                name=f"idle-{number:02}",
                image="python3",
                resources={"cpu": "1", "mem": "512m"},
                starts_at=tomorrow,
            )
        )
    await service.close()


@pytest.mark.usefixtures("waiting")
async def test_what_no_event_tells_is_found(backend: Backend, between: Between) -> None:
    between.break_with(silent, path="/events/session")
    service = SessionService(JupyterSessions())
    async with aclosing(backend.watch()) as batches:  # type: ignore[type-var]
        (wanted, *_) = await anext(batches)
        (row,) = [row for row in (await service.list(backend="local")).sessions if row.name == wanted.name]
        await service.destroy("local", row.id)
        async with asyncio.timeout(30):
            told = await anext(batches)
    assert [(row.id, row.live) for row in told] == [(wanted.id, False)]
    await service.close()
    await backend.close()


@pytest.mark.usefixtures("waiting")
async def test_one_request_that_tells_little_and_no_change(backend: Backend, between: Between) -> None:
    async with aclosing(backend.watch()) as batches:  # type: ignore[type-var]
        assert len(await anext(batches)) == WAITING
        first = between.carried
        more = asyncio.ensure_future(anext(batches))
        async with asyncio.timeout(60):
            while between.carried == first:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        between.seen.clear()
        before, began = between.carried, asyncio.get_running_loop().time()
        async with asyncio.timeout(60):
            while len(between.seen) < 2:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        assert asyncio.get_running_loop().time() - began > QUICK_SECONDS
        each = (between.carried - before) / len(between.seen)
        assert not more.done(), more.result()
        more.cancel()
        await asyncio.wait({more})
    assert each / WAITING < MOST[backend.type]
    await backend.close()
