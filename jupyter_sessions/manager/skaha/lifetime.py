"""How long sessions may run, and how long they are listed after their end.

Source: servers up to 1.4.0: 4 days, for batch sessions 14; then 24 hours, for batch sessions 1.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.sessions import SessionManager

INTERACTIVE, BATCH = timedelta(days=4), timedelta(days=14)
_REMEMBERED, _REMEMBERED_BATCH = timedelta(hours=24), timedelta(hours=1)
_DELETED = "user-requested"


def lifetime(batch: bool) -> timedelta:
    """Return the lifetime from the start or the latest renewal: the time limit of sessions created with this API."""
    return BATCH if batch else INTERACTIVE


def admitted(record: Record) -> datetime | None:
    """Return when a session left the queue, or None while it waits."""
    return None if record.status == "PENDING" else record.history.get("PREPARING")


def expiry(sessions: SessionManager, record: Record) -> datetime | None:
    """Return when a session ends, or would have ended, unless it is renewed; None if it waits or has no limit."""
    if ending := sessions.time.ending(record):
        return ending.at
    over = record.ended and record.started and record.time_limit
    return record.started + timedelta(seconds=record.time_limit) if over and record.started else None


def is_listed(record: Record, now: datetime | None = None) -> bool:
    """Return whether a session is listed: it is live, or ended recently without having been deleted."""
    if record.live and record.status != "ERROR":
        return True
    if record.hidden or record.status == "CANCELLED" or record.status_info == _DELETED:
        return False
    kept = _REMEMBERED_BATCH if record.batch else _REMEMBERED
    return (now or datetime.now(UTC)) - record.changed < kept


def earliest(now: datetime | None = None) -> datetime:
    """Return the time of the last change before which ended sessions are not listed."""
    return (now or datetime.now(UTC)) - _REMEMBERED
