"""Lifecycle events of sessions, and the bus that publishes them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from jupyter_sessions.manager.core.cluster import MemberRecord
from jupyter_sessions.manager.core.record import Record

_QUEUE = 10_000


class SessionEvent(msgspec.Struct, frozen=True):
    """One lifecycle event. Names and fields: Backend.AI managers 23.09 to 26.8, `/events/session`."""

    name: str
    session_id: str
    session_name: str
    access_key: str
    reason: str
    exit_code: int | None
    domain: str
    group: str
    kernel_id: str
    role: str = "main"
    idx: int = 1

    def data(self) -> dict[str, Any]:
        """Return the event's data as sent over the wire."""
        body: dict[str, Any] = {
            "reason": self.reason,
            "sessionName": self.session_name,
            "ownerAccessKey": self.access_key,
            "sessionId": self.session_id,
            "exitCode": self.exit_code,
        }
        if self.name.startswith("kernel_"):
            body |= {"kernelId": self.kernel_id, "clusterRole": self.role, "clusterIdx": self.idx}
        return body


EventQueue = asyncio.Queue[SessionEvent | None]


class Bus:
    """Publishes every event to every listener."""

    def __init__(self) -> None:
        self._queues: set[EventQueue] = set()

    def publish(self, name: str, record: Record, sub: MemberRecord | None = None) -> None:
        """Publish an event of a session's main member, or of `sub`.

        The queue of a listener that is far behind ends with None.
        """
        member = sub or record
        event = SessionEvent(
            name,
            record.id,
            record.name,
            record.access_key,
            member.status_info,
            member.exit_code,
            record.domain,
            record.group,
            member.id,
            member.role,
            member.rank or 1,
        )
        for queue in list(self._queues):
            if queue.qsize() >= _QUEUE:
                self._queues.discard(queue)
                queue.put_nowait(None)
            else:
                queue.put_nowait(event)

    @contextmanager
    def listen(self) -> Iterator[EventQueue]:
        """Give a queue of all events from now on, which ends with None."""
        queue: EventQueue = asyncio.Queue()
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """End all queues."""
        for queue in self._queues:
            queue.put_nowait(None)
        self._queues.clear()
