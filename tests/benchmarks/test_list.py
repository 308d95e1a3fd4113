"""How long a list of many ended sessions takes, beside reading the same rows off the disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.service import SessionService
from tests.manager.records import make_record

pytestmark = pytest.mark.asyncio

SESSIONS = 1000
ROUNDS = 5


def fill(path: Path) -> None:
    """Store that many ended sessions."""
    store = Store(path)
    for number in range(SESSIONS):
        record: Record = make_record(f"stored-{number:04}")
        record.enter("CANCELLED", "user-requested")
        store.save(record)
    store.close()


async def test_list_of_many(service: SessionService, state: Path, report: Callable[[str], None]) -> None:
    fill(state / "sessions.db")
    await asyncio.to_thread(local.start)
    listed, read = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        listing = await service.list(status="all")
        listed.append(time.perf_counter() - began)
        assert len(listing.sessions) == SESSIONS, listing.errors
        began = time.perf_counter()
        store = Store(state / "sessions.db")
        store.page(None, SESSIONS, 0)
        store.close()
        read.append(time.perf_counter() - began)
    report(
        f"list of {SESSIONS} stored sessions: {1000 * median(listed):.0f} ms, "
        f"reading them off the disk alone {1000 * median(read):.0f} ms"
    )
