"""How often a backend is asked what has changed: soon while something begins or ends, rarely while nobody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from jupyter_sessions.model import USABLE, SessionInfo

QUICK_SECONDS = 1.0
SLOW_SECONDS = 60.0
LOOK_SECONDS = 300.0
"""How long somebody who has asked for rows is taken to look at them."""
_GROWTH = 1.5
_SETTLED = USABLE | {"ERROR", "SUSPENDED"}


def unsettled(rows: Iterable[SessionInfo]) -> list[SessionInfo]:
    """Those of the rows that begin or end."""
    return [row for row in rows if row.live and row.status not in _SETTLED]


class Looking:
    """Whether anybody looks at a backend. `begun` is set when somebody begins to, or waits for something."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until = float("-inf")
        self._held = 0
        self.begun = asyncio.Event()

    def __bool__(self) -> bool:
        return self._held > 0 or self._now() < self._until

    def once(self) -> None:
        """Somebody asks for rows."""
        if not self:
            self.begun.set()
        self._until = self._now() + LOOK_SECONDS

    def hurry(self) -> None:
        """Somebody has asked for a change, and waits for it."""
        self.once()
        self.begun.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Somebody looks until the context is left."""
        self.once()
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1


class Pace:
    """The pauses between two looks at a backend; `usual` seconds while somebody looks and all is settled."""

    def __init__(self, usual: float, looking: Looking) -> None:
        self._usual = usual
        self._quick = min(QUICK_SECONDS, usual)
        self._slow = max(SLOW_SECONDS, usual)
        self._looking = looking
        self._last = 0.0

    def pause(self, *, soon: bool, changed: bool) -> float:
        """Seconds to the next look: `soon` if something begins or ends, after one at which something had `changed`.

        What goes on for long, such as a night in the queue, is looked at less and less often, too.
        """
        least = self._quick if soon else self._usual
        most = self._usual if self._looking else self._slow
        self._last = least if changed else min(max(self._last * _GROWTH, least), most)
        return self._last

    async def rest(self, *, soon: bool, changed: bool) -> None:
        """Wait for that long; less if somebody begins to look."""
        seconds = self.pause(soon=soon, changed=changed)
        await asyncio.sleep(min(self._quick, seconds))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds - self._quick):
                await self._looking.begun.wait()
                self._last = 0.0
        self._looking.begun.clear()
