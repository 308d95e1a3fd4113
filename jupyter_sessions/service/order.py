"""In which order sessions are listed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.model import SessionInfo

NEWEST = "-status_changed"
_NOW = datetime.max.replace(tzinfo=UTC)


def check_fields(names: list[str], parameter: str, more: Collection[str] = ()) -> None:
    """Errors: InvalidRequest listing the fields of a session, for a name that is none, nor one of `more`."""
    known = (*SessionInfo.__struct_fields__, *more)
    for name in names:
        if name not in known:
            raise InvalidRequest(
                f"A session has no field '{name}'.",
                hint=f"There are: {', '.join(known)}.",
                field=parameter,
            )


def ordering(order: str) -> Callable[[list[SessionInfo]], list[SessionInfo]]:
    """A sort by a field of sessions, backwards with a "-" before its name; rows without it come last.

    Ties are in the order of ids. Errors: InvalidRequest for an unknown field.
    """
    field = order.removeprefix("-")
    check_fields([field], "order")

    def sort(rows: list[SessionInfo]) -> list[SessionInfo]:
        pairs = [(_value(row, field), row) for row in sorted(rows, key=attrgetter("id"))]
        has = [pair for pair in pairs if pair[0] is not None]
        has.sort(key=lambda pair: _key(pair[0]), reverse=order.startswith("-"))
        return [row for _, row in has] + [row for value, row in pairs if value is None]

    return sort


def _value(row: SessionInfo, field: str) -> Any:
    """Return what a row is sorted by; where nobody tells when it changed, that is when it was made.

    Skaha tells no time of those that wait: they are the newest.
    """
    value = getattr(row, field)
    if value is None and field == "status_changed":
        return row.created_at or (_NOW if row.status == "PENDING" else None)
    return value


def _key(value: Any) -> Any:
    if isinstance(value, str):
        return value.casefold()
    return str(value) if isinstance(value, dict | list) else value
