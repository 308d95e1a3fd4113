"""Translate `filter` and `order` of `compute_session_list` from text to SQL.

A filter is ``field op value``, combined by ``&``, ``|``, ``!`` and parentheses; an order is a comma
list of ``field``, ``+field`` or ``-field``. Source: managers 23.09 to 26.8 and their clients' manuals.
No user input gets into the SQL itself: names are looked up, values are parameters.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.columns import COLUMNS, ENUM, NUMBER, TEXT, TIME
from jupyter_sessions.wire import minilang
from jupyter_sessions.wire.minilang import LONGEST, unreadable

_OTHER_NAMES = {
    "session_id": "id",
    "agent_id": "agent",
    "agent_ids": "agent",
    "agents": "agent",
    "status_changed": "changed",
    "status_updated": "changed",
}
_CONSTANT = {"scaling_group": "'default'", "full_name": "NULL"}
_OPS = {"==": "=", "!=": "!=", ">": ">", ">=": ">=", "<": "<", "<=": "<=", "is": "IS", "isnot": "IS NOT"}


class Clause(msgspec.Struct, frozen=True):
    """A condition in SQL and its parameters."""

    sql: str
    values: tuple[object, ...] = ()

    def __and__(self, other: Clause) -> Clause:
        return Clause(f"({self.sql} AND {other.sql})", self.values + other.values)

    def __or__(self, other: Clause) -> Clause:
        return Clause(f"({self.sql} OR {other.sql})", self.values + other.values)


EVERYTHING = Clause("1")


def equals(column: str, value: object) -> Clause:
    """Return the condition that a column equals a value. `column` must be trusted."""
    return Clause(f"{column} = ?", (value,))


def begins(column: str, text: str) -> Clause:
    """Return the condition that a column begins with a text. `column` must be trusted."""
    return Clause(f"substr({column}, 1, ?) = ?", (len(text), text))


def one_of(column: str, values: list[str]) -> Clause:
    """Return the condition that a column equals one of several values. `column` must be trusted."""
    marks = ", ".join("?" * len(values))
    return Clause(f"{column} IN ({marks})", tuple(values))


def since(column: str, moment: datetime) -> Clause:
    """Return the condition that a time column is at or after a moment. `column` must be trusted."""
    return Clause(f"{column} >= ?", (moment.timestamp(),))


def parse_order(text: str) -> str:
    """Return the terms for ORDER BY, with ties ordered by id. Errors: InvalidRequest for an unknown field."""
    if len(text) > LONGEST:
        raise InvalidRequest(f"The order is longer than {LONGEST} characters.", field="order")
    parts = []
    for word in text.split(","):
        word = word.strip()
        name = word[1:] if word[:1] in ("+", "-") else word
        parts.append(f"{_column('order', name)[0]} {'DESC' if word.startswith('-') else 'ASC'}")
    return ", ".join([*parts, "id"])


def parse_filter(text: str) -> Clause:
    """Translate a filter to SQL. Errors: InvalidRequest."""
    return minilang.parse_filter(text, _Clauses())


class _Clauses(minilang.Conditions[Clause]):
    """Conditions in SQL."""

    def compare(self, field: str, op: str, value: Any) -> Clause:
        """Return the comparison of a column."""
        return _compare(field, op, value)

    def join(self, mark: str, parts: list[Clause]) -> Clause:
        """Return several conditions as one."""
        sql = f" {'AND' if mark == '&' else 'OR'} ".join(clause.sql for clause in parts)
        return Clause(f"({sql})", tuple(value for clause in parts for value in clause.values))

    def negate(self, part: Clause) -> Clause:
        """Return the opposite."""
        return Clause(f"(NOT {part.sql})", part.values)


def _column(where: str, name: str) -> tuple[str, str]:
    """Return the SQL and the kind of a field."""
    if name in _CONSTANT:
        return _CONSTANT[name], TEXT
    column = _OTHER_NAMES.get(name, name)
    if column not in COLUMNS:
        there = ", ".join(sorted({*COLUMNS, *_CONSTANT} - {"changed"} | {"status_changed"}))
        raise InvalidRequest(
            f"There is no field '{name[:60]}' to {where} by.", hint=f"Choose from: {there}.", field=where
        )
    return column, COLUMNS[column].kind


def _compare(name: str, op: str, value: Any) -> Clause:
    column, kind = _column("filter", name)
    if op == "in":
        if not isinstance(value, list):
            raise unreadable(f'\'{name} in\' needs a list, for example ["a", "b"]')
        marks = ", ".join("?" * len(value))
        return Clause(f"{column} IN ({marks})", tuple(_typed(name, kind, one) for one in value))
    if isinstance(value, list):
        raise unreadable(f"'{name}' is compared with a list, which only 'in' allows")
    if op in ("like", "ilike", "contains"):
        return _like(name, column, kind, op, value)
    return Clause(f"{column} {_OPS[op]} ?", (_typed(name, kind, value),))


def _like(name: str, column: str, kind: str, op: str, value: Any) -> Clause:
    if kind not in (TEXT, ENUM) or not isinstance(value, str):
        raise unreadable(f"'{op}' compares text, and '{name}' is not a text field")
    if op == "ilike":
        return Clause(f"{column} LIKE ?", (value,))
    if op == "contains":
        return Clause(f"instr({column}, ?) > 0", (value.upper() if kind == ENUM else value,))
    glob = "".join({"%": "*", "_": "?"}.get(char, f"[{char}]" if char in "*?[" else char) for char in value)
    return Clause(f"{column} GLOB ?", (glob,))  # LIKE ignores case, GLOB does not.


def _typed(name: str, kind: str, value: Any) -> object:
    """Return a value as the column stores it. Errors: InvalidRequest for another type."""
    if value is None:
        return None
    if kind == NUMBER and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if kind == TIME and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise unreadable(
                f"'{name}' must be compared with a time such as 2026-11-20T12:00:00+00:00, not '{value[:40]}'"
            ) from None
    if kind in (TEXT, ENUM) and isinstance(value, str):
        return value.upper() if kind == ENUM else value
    wanted = {NUMBER: "a number", TIME: "a time in double quotes"}.get(kind, "text in double quotes")
    raise unreadable(f"'{name}' must be compared with {wanted}")
