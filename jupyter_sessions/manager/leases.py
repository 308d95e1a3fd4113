"""Sessions that exist for the sake of a process end some time after it, unless another takes them over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from jupyter_sessions.manager.record import Record
from jupyter_sessions.manager.runtime.process import wait_gone
from jupyter_sessions.wire.identity import Identity, here

WHY = "the notebook that owned it has gone"


class Leases:
    """Watches owners. `end` is called with a session and the reason, `grace` seconds after its owner's end."""

    def __init__(self, end: Callable[[Record, str], Awaitable[None]], grace: float) -> None:
        self._end = end
        self._grace = grace
        self._watching: dict[str, asyncio.Task[None]] = {}

    def watch(self, record: Record) -> None:
        """Begin, or go on with the owner that the session has now. Owners that cannot be seen are trusted."""
        self.drop(record)
        if record.owner is not None and record.live and visible(record.owner):
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
        await wait_gone(owner)
        await asyncio.sleep(self._grace)
        await self._end(record, WHY)


def visible(owner: Identity) -> bool:
    """Whether its end would be seen from here: not that of a process in another container."""
    host = here()
    return (owner.boot_id, owner.pid_ns) == (host.boot_id, host.pid_ns)
