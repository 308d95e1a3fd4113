"""Sessions that exist for the sake of a process: they end some time after it, unless another takes them over.

One that still waits when its owner's patience is at its end is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.runtime.process import wait_gone
from jupyter_sessions.model import waiting
from jupyter_sessions.wire.identity import Identity, here

WHY = "the notebook that owned it has gone"


class Leases:
    """Watches owners. `end` is called with a session and the reason, `grace` seconds after its owner's end."""

    def __init__(self, end: Callable[[Record, str], Awaitable[None]], grace: float) -> None:
        self._end = end
        self.grace = grace
        self._watching: dict[str, asyncio.Task[None]] = {}

    def watch(self, record: Record) -> None:
        """Begin, or go on with the owner that the session has now. Owners that cannot be seen are trusted."""
        self.drop(record)
        if record.owner is not None and record.live:
            self._watching[record.id] = asyncio.create_task(self._wait(record, record.owner))

    def drop(self, record: Record) -> None:
        """Look no more, for the session has ended or has no owner any more."""
        task = self._watching.pop(record.id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def close(self) -> None:
        """Stop watching all; the next manager goes on."""
        for task in self._watching.values():
            task.cancel()

    async def _wait(self, record: Record, owner: Identity) -> None:
        try:
            async with asyncio.timeout(_patience(record)):
                await _gone(owner)
        except TimeoutError:
            if record.status == "PENDING":
                why = f" ({waiting(record.status_info)})" if record.status_info else ""
                await self._end(record, f"it did not start as soon as its notebook wanted it{why}")
                return
            await _gone(owner)
        await asyncio.sleep(self.grace)
        await self._end(record, WHY)


async def _gone(owner: Identity) -> None:
    if not visible(owner):
        await asyncio.Event().wait()  # For ever.
    await wait_gone(owner)


def _patience(record: Record) -> float | None:
    """For how many seconds the owner waits until the session starts; None for ever."""
    if record.start_by is None or record.status != "PENDING":
        return None
    return (record.start_by - datetime.now(UTC)).total_seconds()


def visible(owner: Identity) -> bool:
    """Whether its end would be seen from here: not that of a process in another container."""
    host = here()
    return (owner.boot_id, owner.pid_ns) == (host.boot_id, host.pid_ns)
