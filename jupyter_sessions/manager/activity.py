"""Who speaks to the manager, and what of its work would suffer if another manager took over now."""

from __future__ import annotations

import time
from contextlib import suppress

from aiohttp import web

from jupyter_sessions.errors import NotRunning
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.run.programs import TERMINAL
from jupyter_sessions.manager.sessions import SessionManager


class ManagerActivity:
    """When somebody last spoke to the manager, and who listens now."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        self.open = 0

    def idle_seconds(self) -> float:
        """Seconds since the last request; 0 while one is open."""
        return 0.0 if self.open else time.monotonic() - self.last


ACTIVITY = web.AppKey("activity", ManagerActivity)


def in_the_way(sessions: SessionManager, activity: ManagerActivity) -> list[str]:
    """Return why another manager had better not take over now; [] while nothing could be lost.

    Sessions that are queued do not count, nor do notebooks that wait for nothing: both go on with the next manager.
    """
    found = [why for record in sessions.live if (why := _work(sessions, record))]
    others = activity.open - 1
    return [*found, *(["somebody waits for an answer"] if others > 0 else [])]


def _work(sessions: SessionManager, record: Record) -> str:
    if record.status in ("PENDING", "ERROR"):
        return ""
    if not record.usable:
        return f"'{record.name}' is {record.status}"
    with suppress(NotRunning):
        if sessions.supervisor(record).activity().busy:
            return f"'{record.name}' runs code"
    return f"a terminal is open in '{record.name}'" if TERMINAL in record.service_processes else ""
