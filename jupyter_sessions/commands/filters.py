"""Filters of session lists: `--filter 'status == "RUNNING" & name ilike "my%"'`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from jupyter_sessions.commands.fields import field_of
from jupyter_sessions.model import RESERVED_FIELDS, SessionInfo
from jupyter_sessions.wire.minilang import Conditions, parse_filter, unreadable

Test = Callable[[SessionInfo], bool]
_ORDERED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class RowFilter:
    """Tells whether a session meets a condition, for which it needs some `fields`."""

    def __init__(self, test: Test, fields: list[str]) -> None:
        self.fields = fields
        self._test = test

    def __call__(self, row: SessionInfo) -> bool:
        """Return whether a session meets the condition."""
        return self._test(row)


def read(text: str) -> RowFilter:
    """Return the filter that a text describes. Errors: InvalidRequest that says what cannot be read."""
    tests = _Tests()
    return RowFilter(parse_filter(text, tests), tests.fields)


class _Tests(Conditions[Test]):
    """Conditions as tests of a row."""

    def __init__(self) -> None:
        self.fields: list[str] = []

    def compare(self, field: str, op: str, value: Any) -> Test:
        """Return the test that compares a field. A field without a value meets only "is null"."""
        name = field_of(field)
        self.fields.append(name)
        if isinstance(value, list) != (op == "in"):
            raise unreadable(f"a list comes after 'in', and only there, not '{field} {op}'")
        if name == "status" and isinstance(value, str) and "%" not in value:
            value = value.upper()
        return lambda row: _holds(_value(row, name), op, value)

    def join(self, mark: str, parts: list[Test]) -> Test:
        """Return the test that all or any of several hold."""
        every = all if mark == "&" else any
        return lambda row: every(part(row) for part in parts)

    def negate(self, part: Test) -> Test:
        """Return the opposite test."""
        return lambda row: not part(row)


def _value(row: SessionInfo, name: str) -> Any:
    return row.extra.get(name) if name in RESERVED_FIELDS else getattr(row, name)


def _holds(there: Any, op: str, value: Any) -> bool:
    if op in ("is", "isnot", "==", "!="):
        return (there == _alike(value, there)) is (op in ("is", "=="))
    if there is None:
        return False
    if op == "in":
        return any(there == _alike(one, there) for one in value)
    if op == "contains":
        return value in there if isinstance(there, list | dict) else str(value) in str(there)
    if op in ("like", "ilike"):
        flags = re.DOTALL | (re.IGNORECASE if op == "ilike" else 0)
        return re.fullmatch(_pattern(str(value)), str(there), flags) is not None
    return _is_ordered(there, op, _alike(value, there))


def _is_ordered(there: Any, op: str, value: Any) -> bool:
    try:
        return bool(_ORDERED[op](there, value))
    except TypeError:
        raise unreadable(f"'{value}' cannot be compared with '{there}'") from None


def _alike(value: Any, there: Any) -> Any:
    """Return a value as the type of what it is compared with: a time if that is one."""
    if not isinstance(there, datetime) or not isinstance(value, str):
        return value
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        raise unreadable(f"'{value[:40]}' is no time such as 2026-11-20T12:00:00+00:00") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _pattern(text: str) -> str:
    """Return a LIKE pattern, in which % stands for any text and _ for a character, as a regular expression."""
    return "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in text)
