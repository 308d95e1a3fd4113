"""The feed: live rows of all backends, and batches of their changes for everybody who follows them.

Each batch has the next number, `rev`, of this feed's `epoch`. At most one goes out in 100 ms, so that a burst is one
message. Clients that have missed batches call `since`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.errors import SessionError, Unauthorized
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service.changes import (
    BackendChanged,
    Batch,
    Change,
    KernelsChanged,
    Position,
    SessionPut,
    SessionRemoved,
    public,
)
from jupyter_sessions.service.deadlines import GET_SECONDS, ask, translated
from jupyter_sessions.service.row_display import displayed

log = logging.getLogger("jupyter_sessions")

BATCH_SECONDS = 0.1
HISTORY = 1000
MOST_CHANGES = 500
"""Of one batch."""
RETRY_SECONDS = (1.0, 30.0)
_KERNELS = ("kernels", "")

SessionKey = tuple[str, str]


class Feed:
    """Watches backends.

    `rows` returns the live sessions of those in `synced`. `errors` holds the problems of the others; those in
    `refused` do not accept the credentials.
    """

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(8)
        self.rev = 0
        self.errors: dict[str, str] = {}
        self.refused: set[str] = set()
        self.synced: set[str] = set()
        self._rows: dict[SessionKey, SessionInfo] = {}
        self._ended: OrderedDict[SessionKey, SessionInfo] = OrderedDict()
        self._history: deque[Batch] = deque(maxlen=HISTORY)
        self._pending: dict[SessionKey, Change] = {}
        self._listeners: set[Callable[[Batch], None]] = set()
        self._flush: asyncio.TimerHandle | None = None
        self._running = False
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._backends: dict[str, Backend] = {}
        self._doubted: dict[str, set[SessionKey]] = {}
        self._checks: dict[str, asyncio.Task[None]] = {}
        self._nudges: dict[str, asyncio.Event] = {}
        self._begun: dict[str, asyncio.Event] = {}
        self._waiting: Counter[str] = Counter()

    @property
    def position(self) -> Position:
        """Return which changes have gone out."""
        return Position(self.epoch, self.rev)

    @property
    def running(self) -> bool:
        """Return whether all backends are being watched."""
        return self._running

    def start(self, backends: Iterable[Backend]) -> None:
        """Start to watch; call it within a running loop."""
        self._running = True
        for backend in backends:
            if not self.watches(backend.name):
                self._begin(backend)

    def watches(self, name: str) -> bool:
        """Return whether a backend is being watched."""
        return name in self._tasks

    @contextmanager
    def watching(self, backend: Backend) -> Iterator[None]:
        """Watch a backend until the context is left, at least."""
        if not self.watches(backend.name):
            self._begin(backend)
        self._waiting[backend.name] += 1
        try:
            with backend.looking.held():
                yield
        finally:
            self._waiting[backend.name] -= 1
            if not self._running and not self._waiting[backend.name]:
                self._drop(backend.name)
                self._cancel_flush()

    def watch(self, backend: Backend, *, forget: bool = False) -> None:
        """Watch another backend, or a known one from the beginning, because its credentials have changed.

        With `forget`, drop its known sessions, which are those of another person.
        """
        if not self._running:
            return
        self._drop(backend.name)
        if forget:
            self._forget(backend.name)
        self._begin(backend)
        self._announce(("", backend.name), BackendChanged(backend.name))

    def _begin(self, backend: Backend) -> None:
        self._backends[backend.name] = backend
        self._begun[backend.name] = asyncio.Event()
        self._tasks[backend.name] = asyncio.create_task(self._watch(backend))

    def leave(self, name: str) -> None:
        """Stop watching a backend that has been removed, and drop its sessions."""
        self._drop(name)
        self._forget(name)
        if self._running:
            self._announce(("", name), BackendChanged(name))

    def _forget(self, name: str) -> None:
        for key in [key for key in self._ended if key[0] == name]:
            del self._ended[key]
        for key in [key for key in self._rows if key[0] == name]:
            del self._rows[key]
            self._announce(key, SessionRemoved(*key))

    def fail(self, name: str, error: SessionError) -> None:
        """Record the problem of a watched backend, and announce it if it is new."""
        if name not in self._tasks:
            return
        if self.errors.get(name) != str(error) and (name in self.synced or name in self.errors):
            self._announce(("", name), BackendChanged(name))
        self.errors[name] = str(error)
        (self.refused.add if isinstance(error, Unauthorized) else self.refused.discard)(name)

    def _heal(self, name: str) -> None:
        self.refused.discard(name)
        if self.errors.pop(name, None) is not None:
            self._announce(("", name), BackendChanged(name))

    def _drop(self, name: str) -> None:
        for tasks in (self._tasks, self._checks):
            if task := tasks.pop(name, None):
                task.cancel()
        self._backends.pop(name, None)
        self._doubted.pop(name, None)
        self.synced.discard(name)
        self.errors.pop(name, None)
        self.refused.discard(name)

    async def stop(self) -> None:
        """Stop watching."""
        tasks = [*self._tasks.values(), *self._checks.values()]
        self._tasks, self._checks, self._running = {}, {}, False
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.synced.clear()
        self._cancel_flush()

    def _cancel_flush(self) -> None:
        if self._flush:
            self._flush.cancel()
            self._flush = None

    def rows(self, backend: str) -> list[SessionInfo]:
        """Return the live sessions of a backend."""
        return [row for (name, _), row in self._rows.items() if name == backend]

    async def knows(self, backend: str, seconds: float) -> bool:
        """Return whether the rows of a backend are known, and wait some seconds for the first ones.

        Without the wait, callers would list the same rows a second time.
        """
        if backend in self._tasks:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._begun[backend].wait()
        return backend in self.synced

    def nudge(self, backend: str) -> None:
        """Try a failed backend again soon, because somebody looks."""
        if backend in self._nudges:
            self._nudges[backend].set()

    def put(self, row: SessionInfo) -> None:
        """Store a row.

        A row that looks older than the known one may have been on its way when the session changed, or its backend
        may have set the time back. It is stored only after the backend has been asked again.
        """
        key = (row.backend, row.id)
        row = displayed(row)
        known, ended = self._rows.get(key), self._ended.get(key)
        if known is None and not row.live:
            return
        if _older(row, known) if known else not self._may_return(row, ended):
            self._doubt(key)
        elif known is None or row.list_fingerprint() != known.list_fingerprint():
            self._take(key, row)

    def _take(self, key: SessionKey, row: SessionInfo) -> None:
        if row.live:
            self._rows[key] = row
            self._ended.pop(key, None)
        else:
            self._rows.pop(key, None)
            self._remember_ended(key, row)
        self._announce(key, SessionPut(public(row)))

    def _doubt(self, key: SessionKey) -> None:
        """Have the backend asked for a session again."""
        name = key[0]
        if name not in self._backends:
            return
        self._doubted.setdefault(name, set()).add(key)
        if name not in self._checks:
            self._checks[name] = asyncio.create_task(self._check(self._backends[name]))

    async def _check(self, backend: Backend) -> None:
        """Ask for doubtful sessions until there are none."""
        try:
            while keys := self._doubted.pop(backend.name, None):
                for key in keys:
                    with suppress(SessionError):
                        await self._check_one(backend, key)
        finally:
            if self._checks.get(backend.name) is asyncio.current_task():
                del self._checks[backend.name]

    async def _check_one(self, backend: Backend, key: SessionKey) -> None:
        """Store the row that the backend returns now, unless another one came in the meantime."""
        before = self._known(key)
        row = displayed(await ask(backend, backend.get(key[1]), GET_SECONDS))
        after = self._known(key)
        if after is not before:
            self.put(row)
        elif before is None or row.list_fingerprint() != before.list_fingerprint():
            self._take(key, row)

    def _known(self, key: SessionKey) -> SessionInfo | None:
        return self._rows.get(key) or self._ended.get(key)

    def tell_of_kernels(self) -> None:
        """Announce that the automatic kernels on sessions have changed."""
        self._announce(_KERNELS, KernelsChanged())

    def since(self, epoch: str, rev: int) -> list[Change] | None:
        """Return the changes after a revision, or None if they are no longer known."""
        oldest = self.rev - len(self._history)
        if epoch != self.epoch or not oldest <= rev <= self.rev:
            return None
        return [change for batch in self._history if batch.rev > rev for change in batch.changes]

    def listen(self, listener: Callable[[Batch], None]) -> Callable[[], None]:
        """Call `listener` with every batch, until the returned function is called."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    @staticmethod
    def _may_return(row: SessionInfo, ended: SessionInfo | None) -> bool:
        """Return whether a session is live again, rather than a row late: managers may start one that has ended.

        Source: managers 25.5 start a session that was cancelled while they were scheduling it.
        """
        if ended is None:
            return True
        return bool(row.status_changed and ended.status_changed and row.status_changed > ended.status_changed)

    def _remember_ended(self, key: SessionKey, row: SessionInfo) -> None:
        self._ended[key] = row
        if len(self._ended) > HISTORY:
            self._ended.popitem(last=False)

    def _announce(self, key: SessionKey, change: Change) -> None:
        self._pending.pop(key, None)
        self._pending[key] = change
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._send)

    def _send(self) -> None:
        self._flush = None
        self.rev += 1
        keys = [*self._pending][:MOST_CHANGES]
        batch = Batch(self.epoch, self.rev, [self._pending.pop(key) for key in keys])
        if self._pending:
            self._flush = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._send)
        self._history.append(batch)
        for listener in list(self._listeners):
            try:
                listener(batch)
            except Exception:
                log.exception("A listener of session changes failed")

    # Watching.

    async def _watch(self, backend: Backend) -> None:
        nudge = self._nudges[backend.name] = asyncio.Event()
        delay, most = RETRY_SECONDS
        while True:
            try:
                await self._follow(backend)
            except Exception as error:
                self.fail(backend.name, translated(backend, error, GET_SECONDS))
                self._begun[backend.name].set()
            if backend.name in self.synced:
                delay = RETRY_SECONDS[0]
            self.synced.discard(backend.name)
            await asyncio.sleep(RETRY_SECONDS[0])
            nudge.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(nudge.wait(), delay - RETRY_SECONDS[0])
            delay = min(delay * 2, most)

    async def _follow(self, backend: Backend) -> None:
        batches = aiter(backend.watch())
        async with asyncio.timeout(GET_SECONDS):
            first = await anext(batches)
        await self._sync(backend, first)
        await self._go_on(batches)

    async def _go_on(self, batches: AsyncIterator[list[SessionInfo]]) -> None:
        async for rows in batches:
            await self._put_all(rows)

    async def _put_all(self, rows: list[SessionInfo]) -> None:
        """Store rows, and let other tasks run now and then."""
        for number, row in enumerate(rows, 1):
            self.put(row)
            if number % MOST_CHANGES == 0:
                await asyncio.sleep(0)

    async def _sync(self, backend: Backend, rows: list[SessionInfo]) -> None:
        """Store the first rows of a watch, which are all live ones; other known sessions have ended."""
        there = {row.id for row in rows}
        for row in self.rows(backend.name):
            if row.id not in there:
                with suppress(SessionError):
                    self.put(await ask(backend, backend.after_end(row), GET_SECONDS))
        await self._put_all(rows)
        self.synced.add(backend.name)
        self._begun[backend.name].set()
        self._heal(backend.name)


def _older(row: SessionInfo, known: SessionInfo) -> bool:
    return bool(row.status_changed and known.status_changed and row.status_changed < known.status_changed)
