"""The events of a session, as the table that Skaha's servers print.

Source: servers up to 1.4.0; canfar 1.5.2 drops the first line and splits the others into five cells, at two or more
spaces.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.model import waiting

_COLUMNS = ("TYPE", "REASON", "MESSAGE", "FIRST-TIME", "LAST-TIME")
_REASONS = {
    "PENDING": "Queued",
    "PREPARING": "Scheduled",
    "RUNNING": "Started",
    "RUNNING_DEGRADED": "Degraded",
    "RESTARTING": "Restarting",
    "ERROR": "Failed",
    "TERMINATING": "Killing",
    "TERMINATED": "Ended",
    "CANCELLED": "Cancelled",
}
_WORDS = {
    "PENDING": "The session waits",
    "PREPARING": "The session is starting",
    "RUNNING": "The session runs",
    "RUNNING_DEGRADED": "A part of the session ended",
    "RESTARTING": "The session is restarting",
    "ERROR": "The session has failed",
    "TERMINATING": "The session is terminating",
    "TERMINATED": "The session has ended",
    "CANCELLED": "The session was cancelled",
}
_WARNINGS = frozenset({"RUNNING_DEGRADED", "ERROR"})


class PastEvent(msgspec.Struct, frozen=True):
    """A line of the table: `said` is a sentence for people, with the first and last time of the event."""

    warns: bool
    reason: str
    said: str
    first: datetime
    last: datetime

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the line."""
        times = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in (self.first, self.last))
        return ("Warning" if self.warns else "Normal", self.reason, " ".join(self.said.split()), *times)


def of(record: Record, *, opening: bool = False) -> list[PastEvent]:
    """Return all events of a session, the oldest first, with the reason for the latest one.

    `opening` says that the session is a notebook whose server does not answer yet.
    """
    history = sorted(record.history.items(), key=lambda entry: entry[1])
    found = [_happening(record, status, when) for status, when in history]
    if opening:
        said = "The notebook server does not answer yet"
        found.append(PastEvent(False, "Starting", said, record.changed, datetime.now(UTC)))
    return found


def _happening(record: Record, status: str, when: datetime) -> PastEvent:
    now = status == record.status
    said = _WORDS.get(status, status.capitalize())
    if now and status == "PENDING":
        said = f"The session is {waiting(record.status_info)}"
    elif now and record.status_info:
        said = f"{said}: {record.status_info}"
    warns = status in _WARNINGS or (status == "TERMINATED" and record.result == "FAILURE")
    return PastEvent(warns, _REASONS.get(status, status.capitalize()), said, when, when)


def table(happenings: list[PastEvent]) -> str:
    """Return the table, with two or more spaces between columns, or "<none>" without events."""
    if not happenings:
        return "<none>\n"
    lines = [_COLUMNS, *(one.cells() for one in happenings)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_COLUMNS))]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines
    )
    return "".join(f"{line.rstrip()}\n" for line in padded)
