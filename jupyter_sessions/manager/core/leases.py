"""Leases: a session that a process owns ends some time after this process, unless another takes the session over.

A session that still waits when its owner stops waiting is cancelled.
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
    """Watches the owners of sessions, and calls `end` with a session and a reason `grace` seconds after its owner's end."""

    def __init__(self, end: Callable[[Record, str], Awaitable[None]], grace: float) -> None:
        self._end = end
        self.grace = grace
        self._watching: dict[str, asyncio.Task[None]] = {}

    def watch(self, record: Record) -> None:
        """Watch the current owner of a session. An owner that is not visible from here counts as alive."""
        self.drop(record)
        if record.owner is not None and record.live:
            self._watching[record.id] = asyncio.create_task(self._wait(record, record.owner))

    def drop(self, record: Record) -> None:
        """Stop watching a session that has ended or has no owner any more."""
        task = self._watching.pop(record.id, None)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    def close(self) -> None:
        """Stop watching all sessions; the next manager continues."""
        for task in self._watching.values():
            task.cancel()

    async def _wait(self, record: Record, owner: Identity) -> None:
        patience = None
        if record.start_by is not None and record.status == "PENDING":
            patience = (record.start_by - datetime.now(UTC)).total_seconds()
        try:
            async with asyncio.timeout(patience):
                await _gone(owner)
        except TimeoutError:
            if record.status == "PENDING":
                why = f" ({waiting(record.status_info)})" if record.status_info else ""
                await self._end(record, f"it did not start within the time that its notebook waits{why}")
                return
            await _gone(owner)
        await asyncio.sleep(self.grace)
        await self._end(record, WHY)


async def _gone(owner: Identity) -> None:
    if not visible(owner):
        await asyncio.Event().wait()  # For ever.
    await wait_gone(owner)


def visible(owner: Identity) -> bool:
    """Return whether the owner's end can be seen from here, which is not so for another container."""
    host = here()
    return (owner.boot_id, owner.pid_ns) == (host.boot_id, host.pid_ns)
