"""Translate `filter` and `order` of `compute_session_list` from text to SQL.

A filter is ``field op value``, combined by ``&``, ``|``, ``!`` and parentheses; an order is a comma
list of ``field``, ``+field`` or ``-field``. Source: managers 23.09 to 26.8 and their clients' manuals.
No user input gets into the SQL itself: names are looked up, values are parameters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.columns import COLUMNS, ENUM, NUMBER, TEXT, TIME

LONGEST = 4000
_DEEPEST = 40
_OTHER_NAMES = {
    "session_id": "id",
    "agent_id": "agent",
    "agent_ids": "agent",
    "agents": "agent",
    "status_changed": "changed",
    "status_updated": "changed",
}
_CONSTANT = {"scaling_group": "'default'", "full_name": "NULL"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"""
    r"""|(?P<op>==|!=|>=|<=|>|<)|(?P<mark>[()\[\],&|!])|(?P<word>[A-Za-z_]\w*))""",
    re.ASCII | re.DOTALL,
)
_OPS = {"==": "=", "!=": "!=", ">": ">", ">=": ">=", "<": "<", "<=": "<=", "is": "IS", "isnot": "IS NOT"}
_WORD_OPS = frozenset({"contains", "in", "is", "isnot", "like", "ilike"})
_CONSTANTS = {"null": None, "true": True, "false": False}
_HINT = 'For example: status == "RUNNING" & name ilike "%x%".'


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
    if len(text) > LONGEST:
        raise _wrong(f"it is longer than {LONGEST} characters")
    parser = _FilterParser(_tokens(text))
    clause = parser.any_of(0)
    if parser.kind:
        raise _wrong(f"'{parser.word}' was not expected")
    return clause


def _wrong(what: str) -> InvalidRequest:
    return InvalidRequest(f"The filter cannot be read: {what}.", hint=_HINT, field="filter")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise _wrong(f"'{text[at : at + 20]}' is not valid")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


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


class _FilterParser:
    """Parses the tokens by recursive descent; `&` binds more tightly than `|`."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def kind(self) -> str:
        """The kind of the next token, or "" at the end."""
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    @property
    def word(self) -> str:
        """The text of the next token."""
        return self._tokens[self._at][1] if self.kind else "the end"

    def any_of(self, depth: int) -> Clause:
        """Parse conditions separated by ``|``."""
        return self._joined("|", "OR", self._all_of, depth)

    def _all_of(self, depth: int) -> Clause:
        return self._joined("&", "AND", self._one, depth)

    def _joined(self, mark: str, sql: str, part: Callable[[int], Clause], depth: int) -> Clause:
        parts = [part(depth)]
        while self._skip(mark):
            parts.append(part(depth))
        if len(parts) == 1:
            return parts[0]
        values = tuple(value for clause in parts for value in clause.values)
        return Clause(f"({f' {sql} '.join(clause.sql for clause in parts)})", values)

    def _one(self, depth: int) -> Clause:
        if depth > _DEEPEST:
            raise _wrong("it is nested too deeply")
        if self._skip("!"):
            inner = self._one(depth + 1)
            return Clause(f"(NOT {inner.sql})", inner.values)
        if self._skip("("):
            inner = self.any_of(depth + 1)
            self._need(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Clause:
        if self.kind != "word":
            raise _wrong(f"a field's name was expected, not {self.word[:20]}")
        name = self._next()
        op = self.word
        if self.kind != "op" and op not in _WORD_OPS:
            raise _wrong(f"an operator was expected after {name[:40]}, not {op[:20]}")
        self._next()
        return _compare(name, op, self._value())

    def _value(self) -> Any:
        if self._skip("["):
            items = [] if self.word == "]" else [self._scalar()]
            while self._skip(","):
                items.append(self._scalar())
            self._need("]")
            return items
        return self._scalar()

    def _scalar(self) -> Any:
        kind, text = self.kind, self.word
        self._at += 1
        if kind == "text":
            return _unquoted(text)
        if kind == "number":
            return float(text) if re.search("[.eE]", text) or len(text) > 15 else int(text)
        if kind == "word" and text in _CONSTANTS:
            return _CONSTANTS[text]
        raise _wrong(f"a value was expected, not {text[:20]}; text is put in double quotes")

    def _next(self) -> str:
        text = self.word
        self._at += 1
        return text

    def _skip(self, mark: str) -> bool:
        there = self.kind == "mark" and self.word == mark
        self._at += there
        return there

    def _need(self, mark: str) -> None:
        if not self._skip(mark):
            raise _wrong(f"'{mark}' is missing")


def _unquoted(text: str) -> str:
    try:
        found: str = msgspec.json.decode(text.encode(), type=str)
    except (msgspec.DecodeError, UnicodeError):
        found = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    if "\0" in found or (not found.isascii() and any("\ud800" <= char <= "\udfff" for char in found)):
        raise _wrong("a text has invalid characters")
    return found


def _compare(name: str, op: str, value: Any) -> Clause:
    column, kind = _column("filter", name)
    if op == "in":
        if not isinstance(value, list):
            raise _wrong(f'\'{name} in\' needs a list, for example ["a", "b"]')
        marks = ", ".join("?" * len(value))
        return Clause(f"{column} IN ({marks})", tuple(_typed(name, kind, one) for one in value))
    if isinstance(value, list):
        raise _wrong(f"'{name}' is compared with a list, which only 'in' allows")
    if op in ("like", "ilike", "contains"):
        return _like(name, column, kind, op, value)
    return Clause(f"{column} {_OPS[op]} ?", (_typed(name, kind, value),))


def _like(name: str, column: str, kind: str, op: str, value: Any) -> Clause:
    if kind not in (TEXT, ENUM) or not isinstance(value, str):
        raise _wrong(f"'{op}' compares text, and '{name}' is not a text field")
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
            raise _wrong(
                f"'{name}' must be compared with a time such as 2026-11-20T12:00:00+00:00, not '{value[:40]}'"
            ) from None
    if kind in (TEXT, ENUM) and isinstance(value, str):
        return value.upper() if kind == ENUM else value
    wanted = {NUMBER: "a number", TIME: "a time in double quotes"}.get(kind, "text in double quotes")
    raise _wrong(f"'{name}' must be compared with {wanted}")
