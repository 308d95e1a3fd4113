"""The columns of session lists: names that people ask for, titles, and cells.

Source: seed 003 for the names, defaults and titles.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from jupyter_sessions.commands import html
from jupyter_sessions.commands.fields import field_of, show
from jupyter_sessions.commands.links import address_of
from jupyter_sessions.commands.result import Cell
from jupyter_sessions.durations import human_time
from jupyter_sessions.model import RUNNING, USABLE, SessionInfo, status_word

DEFAULT = (
    "name",
    "access_key",
    "session_id",
    "group_name",
    "main_kernel_id",
    "image",
    "type",
    "status",
    "status_info",
    "status_changed",
    "result",
)
DETAIL = (*(name for name in DEFAULT if name != "access_key"), "tag", "created_at", "occupying_slots")
KEPT = ("name", "status", "status_info", "backend", "image")
"""The columns that a narrow terminal keeps longest, the most important first."""
SHORT_ID = 8
_TITLES = {
    "session_id": "Session ID",
    "id": "Session ID",
    "access_key": "Owner Access Key",
    "group_name": "Project/Group",
    "status_changed": "Last Updated",
}
_IDS = ("session_id", "id", "main_kernel_id")
_NO_RESULT = "UNDEFINED"


def title(name: str) -> str:
    """Return the title of a column: "Occupying Slots"."""
    words = _TITLES.get(name) or name.replace("_", " ").title()
    return re.sub(r"\bId(?=s?\b)", "ID", words)


def exact(row: SessionInfo, name: str) -> str:
    """Return a field as it is, for those who ask for certain fields."""
    return show(row, name)


def brief(row: SessionInfo, name: str) -> str:
    """Return a field as people read it in a list: short ids, ages, statuses as words."""
    if name in _IDS:
        return show(row, name)[:SHORT_ID]
    if name == "status":
        return status_cell(row)
    if name == "status_changed":
        return age(row.status_changed or row.created_at)
    if name == "result":
        return "" if row.result == _NO_RESULT else row.result.capitalize()
    return show(row, name)


def status_cell(row: SessionInfo) -> Cell:
    """Return the status of a session in words and colour."""
    return Cell(status_word(row.status).capitalize(), tone=_tone(row))


def _tone(row: SessionInfo) -> str:
    if row.status in USABLE:
        return "good"
    if row.status == "ERROR" or row.hopeless or row.result == "FAILURE":
        return "bad"
    return "busy" if row.live or row.status in RUNNING else "faint"


def age(when: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago something was, in its largest unit: "3 min"; "" if nobody knows."""
    if when is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    return human_time(max(seconds, 0), units=1)


def services_cell(row: SessionInfo, base_url: str) -> Cell:
    """Return the services of a live session; in notebooks they are links."""
    names = [service.name for service in row.services]
    links = [
        html.link(address, service.name)
        for service in row.services
        if (address := address_of(service, base_url))
    ]
    return Cell(", ".join(names), html=", ".join(links) if row.status in USABLE else "")


def shown(rows: Sequence[SessionInfo], *, owners: bool) -> list[str]:
    """Return the usual columns for these rows: the backend if there are several, the owner if it is to be told."""
    names = [name for name in DEFAULT if name != "access_key" or owners]
    if len({row.backend for row in rows}) > 1:
        names.insert(1, "backend")
    return names


def checked(text: str) -> list[str]:
    """Return the names of columns in a comma list. Errors: InvalidRequest for a field that does not exist."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        field_of(name)
    return names
