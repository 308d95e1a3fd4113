"""The columns of the store to filter and sort by, beside each whole record.

Source of the names: managers 23.09 to 26.8, the filterable fields of `compute_session_list`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from jupyter_sessions.manager.core.keys import id_of
from jupyter_sessions.manager.core.record import Record

TEXT, ENUM, NUMBER, TIME = "text", "enum", "number", "time"
_LONGEST = 1000
_SQL = {TEXT: "TEXT", ENUM: "TEXT", NUMBER: "INTEGER", TIME: "REAL"}


class Column(msgspec.Struct, frozen=True):
    """A column: its kind, and the function that reads its value from a record."""

    kind: str
    value: Callable[[Record], Any]

    def of(self, record: Record) -> object:
        """Return the value to store: a number, text cut to a searchable length, or seconds since 1970."""
        value = self.value(record)
        if isinstance(value, datetime):
            return value.timestamp()
        return value[:_LONGEST] if isinstance(value, str) else value


def scheduled(record: Record) -> datetime | None:
    """Return when a session was scheduled."""
    return record.history.get("SCHEDULED") or record.history.get("PREPARING")


COLUMNS = {
    "id": Column(TEXT, lambda record: record.id),
    "name": Column(TEXT, lambda record: record.name),
    "access_key": Column(TEXT, lambda record: record.access_key),
    "status": Column(ENUM, lambda record: record.status),
    "changed": Column(TIME, lambda record: record.changed),
    "type": Column(ENUM, lambda record: record.type.upper()),
    "image": Column(TEXT, lambda record: record.image),
    "status_info": Column(TEXT, lambda record: record.status_info or None),
    "result": Column(ENUM, lambda record: record.result.upper()),
    "domain_name": Column(TEXT, lambda record: record.domain),
    "group_name": Column(TEXT, lambda record: record.group),
    "group_id": Column(TEXT, lambda record: id_of(record.domain, record.group)),
    "user_email": Column(TEXT, lambda record: record.user_email or None),
    "agent": Column(TEXT, lambda record: platform.node() if scheduled(record) else None),
    "cluster_mode": Column(TEXT, lambda record: record.cluster_mode),
    "cluster_size": Column(NUMBER, lambda record: record.size),
    "tag": Column(TEXT, lambda record: record.tag),
    "startup_command": Column(TEXT, lambda record: record.startup_command),
    "created_at": Column(TIME, lambda record: record.created),
    "terminated_at": Column(TIME, lambda record: record.ended),
    "starts_at": Column(TIME, lambda record: record.starts_at),
    "scheduled_at": Column(TIME, scheduled),
}

_FACTS = ["changed DESC", "id", *(name for name in COLUMNS if name not in ("changed", "id"))]
TABLE = f"""
CREATE TABLE sessions (
{", ".join(f"{name} {_SQL[column.kind]}" for name, column in COLUMNS.items())},
record BLOB NOT NULL, PRIMARY KEY (id));
CREATE INDEX facts ON sessions ({", ".join(_FACTS)});
CREATE INDEX by_name ON sessions (name, status)
"""
"""The index `facts` holds all columns except the record, so that no query has to read past the large records."""


def row_of(record: Record) -> tuple[object, ...]:
    """Return the values of a record's columns, and the record itself."""
    return (*(column.of(record) for column in COLUMNS.values()), msgspec.json.encode(record))
