"""What changes, for everybody who looks: rows kept up to date, and batches of changes.

Every change gets the next number, `rev`, of this feed's `epoch`. A batch goes out at most every
100 ms, so that a burst is one message; who missed some asks for `since`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import msgspec

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.errors import SessionError
from jupyter_sessions.model import SessionInfo

log = logging.getLogger("jupyter_sessions")

BATCH_SECONDS = 0.1
HISTORY = 1000
RETRY_SECONDS = (1.0, 30.0)
PRIVATE = ("environ", "reused")

Key = tuple[str, str]
Change = dict[str, Any]


class Batch(msgspec.Struct, frozen=True):
    """Changes that belong together; applying all up to `rev` of this `epoch` gives the current list."""

    epoch: str
    rev: int
    changes: list[Change]


class Feed:
    """Watches backends. `rows` are the live sessions of those in `synced`."""

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(8)
        self.rev = 0
        self.errors: dict[str, str] = {}
        self.synced: set[str] = set()
        self._rows: dict[Key, SessionInfo] = {}
        self._history: deque[Batch] = deque(maxlen=HISTORY)
        self._pending: dict[Key, Change] = {}
        self._listeners: set[Callable[[Batch], None]] = set()
        self._flush: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def running(self) -> bool:
        """True while it watches."""
        return bool(self._tasks)

    def start(self, backends: Iterable[Backend]) -> None:
        """Begin to watch; call it within a running loop."""
        self._tasks = [asyncio.create_task(self._watch(backend)) for backend in backends]

    async def stop(self) -> None:
        """Stop watching."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._flush:
            self._flush.cancel()

    def rows(self, backend: str) -> list[SessionInfo]:
        """The live sessions of a backend, most recently changed first."""
        mine = [row for (name, _), row in self._rows.items() if name == backend]
        return sorted(mine, key=lambda row: row.status_changed.timestamp() if row.status_changed else 0, reverse=True)

    def put(self, row: SessionInfo) -> None:
        """Take in a row as it is now; one older than what is known already is passed over."""
        key = (row.backend, row.id)
        known = self._rows.get(key)
        if (known is None and not row.live) or (known is not None and not _newer(row, known)):
            return
        if row.live:
            self._rows[key] = row
        else:
            self._rows.pop(key, None)
        self._announce(key, {"op": "put", "session": public(row)})

    def since(self, epoch: str, rev: int) -> list[Change] | None:
        """The changes after a revision; None if they are not known any more, and all must be read."""
        if epoch != self.epoch or rev > self.rev or (self._history and rev < self._history[0].rev - 1):
            return None
        if rev < self.rev and not self._history:
            return None
        return [change for batch in self._history if batch.rev > rev for change in batch.changes]

    def listen(self, listener: Callable[[Batch], None]) -> Callable[[], None]:
        """Call `listener` with every batch; the answer stops that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def _announce(self, key: Key, change: Change) -> None:
        self._pending.pop(key, None)
        self._pending[key] = change
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._send)

    def _send(self) -> None:
        self._flush = None
        self.rev += 1
        batch = Batch(self.epoch, self.rev, [*self._pending.values()])
        self._pending.clear()
        self._history.append(batch)
        for listener in list(self._listeners):
            try:
                listener(batch)
            except Exception:
                log.exception("A listener of session changes failed")

    async def _watch(self, backend: Backend) -> None:
        delay, most = RETRY_SECONDS
        while True:
            try:
                async for rows in backend.watch():
                    if backend.name not in self.synced:
                        await self._sync(backend, rows)
                    for row in rows:
                        self.put(row)
                    delay = RETRY_SECONDS[0]
            except SessionError as error:
                self.errors[backend.name] = str(error)
            except Exception as error:
                log.exception("Watching the backend '%s' failed", backend.name)
                self.errors[backend.name] = f"The backend '{backend.name}' failed: {error}"
            self.synced.discard(backend.name)
            await asyncio.sleep(delay)
            delay = min(delay * 2, most)

    async def _sync(self, backend: Backend, rows: list[SessionInfo]) -> None:
        """The first rows of a watch are all that live; what is known beyond that has ended."""
        there = {row.id for row in rows}
        for row in self.rows(backend.name):
            if row.id not in there:
                with suppress(SessionError):
                    self.put(await backend.get(row.id))
        self.synced.add(backend.name)
        self.errors.pop(backend.name, None)


def public(row: SessionInfo) -> dict[str, Any]:
    """A row for pushing: without what may hold secrets."""
    shown = msgspec.to_builtins(row)
    return {key: value for key, value in shown.items() if key not in PRIVATE}


def _newer(row: SessionInfo, known: SessionInfo) -> bool:
    if row.status_changed and known.status_changed and row.status_changed < known.status_changed:
        return False
    return row.face() != known.face()
