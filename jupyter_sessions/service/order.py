"""The order of lists of sessions."""

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
                hint=f"Choose from: {', '.join(known)}.",
                field=parameter,
            )


def ordering(order: str) -> Callable[[list[SessionInfo]], list[SessionInfo]]:
    """Return a sort by fields of sessions, separated by commas, each descending with a "-" before its name.

    Rows without a field come last, ties are in the order of ids. Errors: InvalidRequest for an unknown field.
    """
    fields = [name.strip().removeprefix("+") for name in order.split(",")]
    check_fields([name.removeprefix("-") for name in fields], "order")

    def sort(rows: list[SessionInfo]) -> list[SessionInfo]:
        found = sorted(rows, key=attrgetter("id"))
        for name in reversed(fields):
            found = _by_field(found, name.removeprefix("-"), descending=name.startswith("-"))
        return found

    return sort


def _by_field(rows: list[SessionInfo], field: str, *, descending: bool) -> list[SessionInfo]:
    pairs = [(_value(row, field), row) for row in rows]
    has = [pair for pair in pairs if pair[0] is not None]
    has.sort(key=lambda pair: _key(pair[0]), reverse=descending)
    return [row for _, row in has] + [row for value, row in pairs if value is None]


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
