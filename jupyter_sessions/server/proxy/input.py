"""Report use of a service to the session's backend, which does not see the proxy's traffic.

A backend may end sessions that are not used. Requests that a browser repeats by itself must not keep a session alive,
so reading does not count: only pages that a person opens, requests that may change something, and WebSocket messages.
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
    """When each session's use was last reported; at most once a minute."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def note(self, services: ServiceProvider, backend: str, id: str) -> None:
        """Report use of a session, in the background."""
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
            await services.record_use(backend, id)
        except Exception:
            log.debug("Use of session %s could not be reported.", id, exc_info=True)
