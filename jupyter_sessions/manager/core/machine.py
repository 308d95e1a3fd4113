"""The owner of all sessions' states: whoever wants a session changed asks here.

A change is a value (see `transitions` and `changes`). The machine looks whether it is possible, makes it in the
session's record, writes the record to the store in one transaction, and tells the bus, the listeners and those who
wait, in this order. A manager that dies before it has told loses nothing: its clients look again when they
find the next one, which begins with what is stored. Statuses change like this:

    PENDING ──Scheduled──> PREPARING
    PENDING ──Cancelled──> CANCELLED
    PREPARING ──Requeued──> PENDING
    PREPARING, RESTARTING ──Ready──> RUNNING
    RUNNING, RUNNING_DEGRADED ──Degraded──> RUNNING_DEGRADED
    RUNNING, RUNNING_DEGRADED ──Restarting──> RESTARTING
    PREPARING, RUNNING, RUNNING_DEGRADED, RESTARTING ──Failed──> ERROR
    PREPARING, RUNNING, RUNNING_DEGRADED, RESTARTING, ERROR ──Terminating──> TERMINATING
    TERMINATING ──Terminated──> TERMINATED

A full disk stops no session: what cannot be stored is told all the same, known to this manager, and stored as soon as
there is room. Only a new session needs room at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable

from jupyter_sessions.errors import SessionError
from jupyter_sessions.manager.core import snapshots
from jupyter_sessions.manager.core.changes import Enqueued
from jupyter_sessions.manager.core.cluster import MemberRecord
from jupyter_sessions.manager.core.events import Bus
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.store import Store, StoreError
from jupyter_sessions.manager.core.transitions import Transition

log = logging.getLogger("jupyter_sessions")

TransitionListener = Callable[[Record, Transition], None]
"""Called with a session after its change was stored."""


class ImpossibleTransition(SessionError):
    """A change was asked for that a session cannot make in its status."""


class SessionMachine:
    """Makes all changes of sessions. Those that have not ended are in `live`; others read both and write neither."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self.live: dict[str, Record] = {}
        self._store = store
        self._bus = bus
        self._unsaved: dict[str, Record] = {}
        self._listeners: list[TransitionListener] = []
        self._waiters: dict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def listen(self, listener: TransitionListener) -> None:
        """Have a function called after each change that is published."""
        self._listeners.append(listener)

    def load(self) -> None:
        """Take over the sessions that an earlier manager left in the store."""
        self.live.update((record.id, record) for record in self._store.live())

    def get(self, id: str) -> Record | None:
        """Return a session by its full id, live or ended."""
        return self.live.get(id) or self._unsaved.get(id) or self._store.get(id)

    def add(self, record: Record, keys: list[str]) -> None:
        """Begin with a new session whose members' kernels have these keys.

        Errors: StoreError if it cannot be stored; then there is none.
        """
        enqueued = Enqueued(keys)
        _check(record, (enqueued,))
        enqueued.change(record)
        self._store.save(record)
        snapshots.save_record(record)
        self.live[record.id] = record
        self._publish(record, enqueued)

    def apply(self, record: Record, *transitions: Transition) -> None:
        """Make changes of a session, all or none. Errors: ImpossibleTransition."""
        _check(record, transitions)
        for transition in transitions:
            transition.change(record)
        if any(transition.stored for transition in transitions):
            self._unsaved[record.id] = record
            self.save()
        for transition in transitions:
            self._publish(record, transition)

    def save(self) -> None:
        """Store what changed. What cannot be stored now, as the disk is full, is tried again later."""
        for record in list(self._unsaved.values()):
            snapshots.save_record(record)
            try:
                self._store.save(record)
            except StoreError as error:
                log.error("%s", error)
                return
            del self._unsaved[record.id]

    async def wait(self, record: Record, until: Callable[[Record], bool]) -> None:
        """Return as soon as `until(record)` holds; cancel to stop waiting."""
        while not until(record):
            told = asyncio.get_running_loop().create_future()
            waiters = self._waiters[record.id]
            waiters.add(told)
            try:
                await told
            finally:
                waiters.discard(told)
                if not waiters:
                    self._waiters.pop(record.id, None)

    def _publish(self, record: Record, transition: Transition) -> None:
        if not record.live:
            self.live.pop(record.id, None)
        if not (events := transition.events(record)):
            return
        member = record.member(transition.rank)
        for event in events:
            self._bus.publish(event, record, member if isinstance(member, MemberRecord) else None)
        for listener in self._listeners:
            listener(record, transition)
        for told in self._waiters.get(record.id, ()):
            if not told.done():
                told.set_result(None)


def _check(record: Record, transitions: tuple[Transition, ...]) -> None:
    """Errors: ImpossibleTransition if one of several changes, made one after the other, does not exist."""
    status = record.status
    for transition in transitions:
        if transition.sources and status not in transition.sources:
            raise ImpossibleTransition(
                f"The session '{record.name}' is {status}, in which {type(transition).__name__} is impossible."
            )
        status = transition.target or status
