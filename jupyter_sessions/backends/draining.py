"""Connections in whose place others have come."""

from __future__ import annotations

import asyncio
from typing import Protocol

GRACE_SECONDS = 180.0
"""The longest that a request may take."""


class Closable(Protocol):
    """Something that can be closed."""

    async def close(self) -> None:
        """Close it, whatever is under way."""


class Draining:
    """Connections that are used for nothing new; each is closed once what is under way has had its time."""

    def __init__(self) -> None:
        self._waiting: dict[Closable, asyncio.Task[None]] = {}

    def add(self, connection: Closable) -> None:
        """Close it later."""
        self._waiting[connection] = asyncio.create_task(self._close_later(connection))

    async def close(self) -> None:
        """Close all of them now."""
        waiting, self._waiting = self._waiting, {}
        for connection, task in waiting.items():
            task.cancel()
            await connection.close()

    async def _close_later(self, connection: Closable) -> None:
        await asyncio.sleep(GRACE_SECONDS)
        del self._waiting[connection]
        await connection.close()
