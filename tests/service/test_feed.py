"""Many rows at once: they go out in batches of a bounded size, and the loop goes on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service.changes import Batch, SessionPut
from jupyter_sessions.service.feed import MOST_CHANGES, Feed
from jupyter_sessions.wire.secret_variables import MARKER
from tests.manager.world import until
from tests.resources.watching import longest_stop

pytestmark = pytest.mark.asyncio
MANY = 5000


class Crowded:
    """A backend that has many sessions from the beginning on."""

    name = "crowded"
    title = "Crowded"

    async def watch(self) -> AsyncIterator[list[SessionInfo]]:
        yield [
            SessionInfo(
                backend=self.name,
                id=str(number),
                name=f"n{number}",
                image="x",
                type="interactive",
                status="RUNNING",
                status_info="",
                resources={},
                services=[],
                created_at=datetime.now(UTC),
            )
            for number in range(MANY)
        ]
        await asyncio.sleep(3600)


async def test_many_rows_go_out_in_batches() -> None:
    feed, seen = Feed(), list[Batch]()
    feed.listen(seen.append)
    feed.start([cast("Backend", Crowded())])

    async def all_seen() -> None:
        await until(lambda: sum(len(batch.changes) for batch in seen) >= MANY)

    waiting: asyncio.Task[Any] = asyncio.create_task(all_seen())
    stop = await longest_stop(waiting)
    await waiting
    await feed.stop()
    puts = [change.session.id for batch in seen for change in batch.changes if isinstance(change, SessionPut)]
    assert sorted(map(int, puts)) == [*range(MANY)]
    assert max(len(batch.changes) for batch in seen) <= MOST_CHANGES
    assert [batch.rev for batch in seen] == [*range(1, len(seen) + 1)]
    assert stop < 1.0


async def test_whoever_lists_waits_for_the_first_rows_of_the_watch() -> None:
    feed = Feed()
    assert not await feed.knows("crowded", 5)  # Nobody watches.
    feed.start([cast("Backend", Crowded())])
    assert await feed.knows("crowded", 5)
    assert len(feed.rows("crowded")) == MANY
    await feed.stop()


async def test_what_was_missed_is_told_as_it_went_out() -> None:
    feed, seen = Feed(), list[Batch]()
    feed.listen(seen.append)
    feed.start([cast("Backend", Crowded())])
    await until(lambda: sum(len(batch.changes) for batch in seen) >= MANY)
    await feed.stop()
    for number, batch in enumerate(seen):
        rest = [change for later in seen[number + 1 :] for change in later.changes]
        assert feed.since(feed.epoch, batch.rev) == rest
    assert feed.since("another", 1) is None


class Careless(Crowded):
    """A backend whose rows hold values of secrets, of a session that is older the second time it is told."""

    name = "careless"

    def row(self, minute: int, status_info: str = "") -> SessionInfo:
        return SessionInfo(
            backend=self.name,
            id="1",
            name="n",
            image="x",
            type="interactive",
            status="RUNNING",
            status_info=status_info,
            status_changed=datetime(2026, 1, 1, 0, minute, tzinfo=UTC),
            environ={"HF_TOKEN": "hf_1", "PET": "cat", MARKER: "PET", "A": "b"},
            resources={},
            services=[],
            created_at=datetime.now(UTC),
        )

    async def watch(self) -> AsyncIterator[list[SessionInfo]]:
        yield [self.row(2)]
        yield [self.row(1)]
        await asyncio.sleep(3600)

    async def get(self, id: str) -> SessionInfo:
        return self.row(1, "asked")


async def test_rows_hold_no_values_of_secrets() -> None:
    feed = Feed()
    feed.start([cast("Backend", Careless())])
    assert await feed.knows("careless", 5)
    (row,) = feed.rows("careless")
    assert (row.environ, row.secrets) == ({"A": "b"}, ["HF_TOKEN", "PET"])
    await until(lambda: feed.rows("careless")[0].status_info == "asked")
    (row,) = feed.rows("careless")
    assert (row.environ, row.secrets) == ({"A": "b"}, ["HF_TOKEN", "PET"])
    await feed.stop()
