"""The owner of every session's state; nothing else changes a session.

A change is a value (see `transitions` and `changes`). The machine checks that it is possible, applies it to the
session's record, writes the record to the store in one transaction, and notifies the bus, the listeners and the
waiters, in this order. Nothing is lost if the manager dies before it has notified them: the next manager starts
from the store, and clients read the list again when they connect to it. The statuses:

    PENDING ──Scheduled──> PREPARING
    PENDING ──Cancelled──> CANCELLED
    PREPARING ──Requeued──> PENDING
    PREPARING, RESTARTING ──Ready──> RUNNING
    RUNNING, RUNNING_DEGRADED ──Degraded──> RUNNING_DEGRADED
    RUNNING, RUNNING_DEGRADED ──Restarting──> RESTARTING
    PREPARING, RUNNING, RUNNING_DEGRADED, RESTARTING ──Failed──> ERROR
    PREPARING, RUNNING, RUNNING_DEGRADED, RESTARTING, ERROR ──Terminating──> TERMINATING
    TERMINATING ──Terminated──> TERMINATED

A full disk stops no session: a change that cannot be stored is published, kept in memory, and stored as soon as
there is room. Only a new session must be stored at once.
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
"""Called with a session after a change of it was stored."""


class ImpossibleTransition(SessionError):
    """A session cannot make this change in its status."""


class SessionMachine:
    """Applies all changes of sessions. `live` holds the sessions that have not ended; other code only reads it."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self.live: dict[str, Record] = {}
        self._store = store
        self._bus = bus
        self._unsaved: dict[str, Record] = {}
        self._listeners: list[TransitionListener] = []
        self._waiters: dict[str, set[asyncio.Future[None]]] = defaultdict(set)

    def listen(self, listener: TransitionListener) -> None:
        """Call a function after each published change."""
        self._listeners.append(listener)

    def load(self) -> None:
        """Load the live sessions of the store."""
        self.live.update((record.id, record) for record in self._store.live())

    def get(self, id: str) -> Record | None:
        """Return the session with this full id, live or ended."""
        return self.live.get(id) or self._unsaved.get(id) or self._store.get(id)

    def add(self, record: Record, keys: list[str]) -> None:
        """Add a new session, whose members' kernels have these keys.

        Errors: StoreError if it cannot be stored; it is not added then.
        """
        enqueued = Enqueued(keys)
        _check(record, (enqueued,))
        enqueued.change(record)
        self._store.save(record)
        snapshots.save_record(record)
        self.live[record.id] = record
        self._publish(record, enqueued)

    def apply(self, record: Record, *transitions: Transition) -> None:
        """Apply changes to a session, all or none. Errors: ImpossibleTransition."""
        _check(record, transitions)
        for transition in transitions:
            transition.change(record)
        if any(transition.stored for transition in transitions):
            self._unsaved[record.id] = record
            self.save()
        for transition in transitions:
            self._publish(record, transition)

    def save(self) -> None:
        """Store all changed sessions. Those that cannot be stored now, because the disk is full, are kept for the next call."""
        for record in list(self._unsaved.values()):
            snapshots.save_record(record)
            try:
                self._store.save(record)
            except StoreError as error:
                log.error("%s", error)
                return
            del self._unsaved[record.id]

    async def wait(self, record: Record, until: Callable[[Record], bool]) -> None:
        """Wait until `until(record)` is true. Cancel to stop waiting."""
        while not until(record):
            waiter = asyncio.get_running_loop().create_future()
            waiters = self._waiters[record.id]
            waiters.add(waiter)
            try:
                await waiter
            finally:
                waiters.discard(waiter)
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
        for waiter in self._waiters.get(record.id, ()):
            if not waiter.done():
                waiter.set_result(None)


def _check(record: Record, transitions: tuple[Transition, ...]) -> None:
    """Check that changes can be applied one after the other. Errors: ImpossibleTransition."""
    status = record.status
    for transition in transitions:
        if transition.sources and status not in transition.sources:
            raise ImpossibleTransition(
                f"The session '{record.name}' is {status}: {type(transition).__name__} is not possible in this status."
            )
        status = transition.target or status
