"""The activity of the manager, and what would be lost if another manager took over now."""

from __future__ import annotations

import time
from contextlib import suppress

from aiohttp import web

from jupyter_sessions.errors import NotRunning
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.services import TERMINAL, kind_of
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.model import status_clause


class ManagerActivity:
    """The time of the last request to the manager, and the number of open requests."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        self.open = 0

    def idle_seconds(self) -> float:
        """Return the seconds since the last request, or 0 while one is open."""
        return 0.0 if self.open else time.monotonic() - self.last


ACTIVITY = web.AppKey("activity", ManagerActivity)


def takeover_obstacles(sessions: SessionManager, activity: ManagerActivity) -> list[str]:
    """Return why another manager should not take over now, or [] if nothing would be lost.

    Queued sessions and idle notebooks do not count, because both continue under the next manager.
    """
    found = [why for record in sessions.live if (why := _work(sessions, record))]
    others = activity.open - 1
    return [*found, *(["a client waits for an answer"] if others > 0 else [])]


def _work(sessions: SessionManager, record: Record) -> str:
    if record.status in ("PENDING", "ERROR"):
        return ""
    if not record.usable:
        return f"'{record.name}' {status_clause(record.status)}"
    with suppress(NotRunning):
        if sessions.supervisor(record).activity().busy:
            return f"'{record.name}' runs code"
    return (
        f"a terminal is open in '{record.name}'"
        if any(kind_of(key) == TERMINAL for key in record.service_processes)
        else ""
    )
