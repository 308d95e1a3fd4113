"""Results that take work to get, shared by all who ask at about the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Generic, TypeVar

RECENT_SECONDS = 0.25

T = TypeVar("T")


class Recent(Generic[T]):
    """The result of `find`, found again when it is older than `seconds`."""

    def __init__(self, find: Callable[[], Awaitable[T]], seconds: float = RECENT_SECONDS) -> None:
        self._find = find
        self._seconds = seconds
        self._began = 0.0
        self._asker: object = None
        self._finding: asyncio.Task[T] | None = None

    async def get(self, asker: object = None) -> T:
        """Return the result for this asker. Errors: those of `find`, which the next one does not share."""
        if self._finding is None or asker != self._asker or self._is_old(self._finding):
            self._began, self._asker = monotonic(), asker
            self._finding = asyncio.ensure_future(_awaited(self._find()))
        return await asyncio.shield(self._finding)

    def _is_old(self, finding: asyncio.Task[T]) -> bool:
        failed = finding.done() and (finding.cancelled() or finding.exception() is not None)
        return failed or monotonic() > self._began + self._seconds


async def _awaited(work: Awaitable[T]) -> T:
    return await work
