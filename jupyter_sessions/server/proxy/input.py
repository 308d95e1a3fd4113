"""Tells a session's backend that somebody works with a service: what passes here it does not see.

A backend may end sessions that are not used. What a browser asks for again and again by itself must
not keep one alive, so reading does not count: only pages that a person opens, requests that may
change something, and messages on WebSockets.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .contract import ServiceProvider

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0


class Inputs:
    """When which session was told of last; it is told at most once a minute."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, services: ServiceProvider, backend: str, id: str) -> None:
        """There is input for a session; returns at once."""
        now = time.monotonic()
        if now - self._told.get((backend, id), -EVERY_SECONDS) < EVERY_SECONDS:
            return
        self._told = {key: when for key, when in self._told.items() if now - when < EVERY_SECONDS}
        self._told[backend, id] = now
        task = asyncio.create_task(self._tell(services, backend, id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, services: ServiceProvider, backend: str, id: str) -> None:
        try:
            await services.touch(backend, id)
        except Exception:
            log.debug("session %s was not told of input", id, exc_info=True)
