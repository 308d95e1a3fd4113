"""How long a session may go on, and how long it is remembered after its end.

Source: servers up to 1.4.0: 4 days, of batch sessions 14; then 24 hours, of batch sessions 1.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.sessions import SessionManager

INTERACTIVE, BATCH = timedelta(days=4), timedelta(days=14)
_REMEMBERED, _REMEMBERED_BATCH = timedelta(hours=24), timedelta(hours=1)
_DELETED = "user-requested"


def lifetime(batch: bool) -> timedelta:
    """From its start, or from when it was renewed; it is the time limit of sessions that are made here."""
    return BATCH if batch else INTERACTIVE


def admitted(record: Record) -> datetime | None:
    """When it was given its place; None while it waits."""
    return None if record.status == "PENDING" else record.history.get("PREPARING")


def expiry(sessions: SessionManager, record: Record) -> datetime | None:
    """When it ends, or would have ended, if it is not renewed; None while it waits, or if nothing ends it."""
    if ending := sessions.time.ending(record):
        return ending.at
    over = record.ended and record.started and record.time_limit
    return record.started + timedelta(seconds=record.time_limit) if over and record.started else None


def is_listed(record: Record, now: datetime | None = None) -> bool:
    """Whether it is there: it lives, or ended not long ago without having been deleted."""
    if record.live and record.status != "ERROR":
        return True
    if record.hidden or record.status == "CANCELLED" or record.status_info == _DELETED:
        return False
    kept = _REMEMBERED_BATCH if record.batch else _REMEMBERED
    return (now or datetime.now(UTC)) - record.changed < kept


def earliest(now: datetime | None = None) -> datetime:
    """What changed last before this is not listed, unless it lives."""
    return (now or datetime.now(UTC)) - _REMEMBERED
