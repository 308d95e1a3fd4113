"""How often backends are polled: soon while sessions start or end, rarely while nobody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from jupyter_sessions.model import USABLE, SessionInfo

QUICK_SECONDS = 1.0
SLOW_SECONDS = 60.0
LOOK_SECONDS = 300.0
"""How long somebody who asked for rows is assumed to look at them."""
_GROWTH = 1.5
_SETTLED = USABLE | {"ERROR", "SUSPENDED"}


def unsettled(rows: Iterable[SessionInfo]) -> list[SessionInfo]:
    """Return the rows of sessions that start or end."""
    return [row for row in rows if row.live and row.status not in _SETTLED]


class Looking:
    """Whether anybody looks at a backend. `begun` is set when somebody starts to look, or waits for a change."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until = float("-inf")
        self._held = 0
        self.begun = asyncio.Event()

    def __bool__(self) -> bool:
        return self._held > 0 or self._now() < self._until

    def once(self) -> None:
        """Note that somebody asks for rows."""
        if not self:
            self.begun.set()
        self._until = self._now() + LOOK_SECONDS

    def hurry(self) -> None:
        """Note that somebody waits for a change."""
        self.once()
        self.begun.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Count as being looked at until the context is left."""
        self.once()
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1


class Pace:
    """The pauses between two polls of a backend: `usual` seconds while somebody looks and nothing starts or ends."""

    def __init__(self, usual: float, looking: Looking) -> None:
        self._usual = usual
        self._quick = min(QUICK_SECONDS, usual)
        self._slow = max(SLOW_SECONDS, usual)
        self._looking = looking
        self._last = 0.0

    def pause(self, *, soon: bool, changed: bool) -> float:
        """Return the seconds to the next poll: fewer if it is `soon` or the last one found something `changed`.

        Sessions that take long to start, such as a night in the queue, are polled less and less often, too.
        """
        least = self._quick if soon else self._usual
        most = self._usual if self._looking else self._slow
        self._last = least if changed else min(max(self._last * _GROWTH, least), most)
        return self._last

    async def rest(self, *, soon: bool, changed: bool) -> None:
        """Sleep until the next poll, or until somebody starts to look."""
        seconds = self.pause(soon=soon, changed=changed)
        await asyncio.sleep(min(self._quick, seconds))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds - self._quick):
                await self._looking.begun.wait()
                self._last = 0.0
        self._looking.begun.clear()
