"""The grammar of filters, which Backend.AI's managers and clients share with our `ps --filter`.

A filter is ``field op value``, combined by ``&``, ``|``, ``!`` and parentheses. Source: managers 23.09 to 26.8 and
their clients' manuals. What a condition becomes is up to the caller: SQL in the manager, a test of rows in a list.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from jupyter_sessions.errors import InvalidRequest

LONGEST = 4000
_DEEPEST = 40
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"""
    r"""|(?P<op>==|!=|>=|<=|>|<)|(?P<mark>[()\[\],&|!])|(?P<word>[A-Za-z_]\w*))""",
    re.ASCII | re.DOTALL,
)
_WORD_OPS = frozenset({"contains", "in", "is", "isnot", "like", "ilike"})
_CONSTANTS = {"null": None, "true": True, "false": False}
_HINT = 'For example: status == "RUNNING" & name ilike "%x%".'

T = TypeVar("T")


class Conditions(ABC, Generic[T]):
    """What conditions become."""

    @abstractmethod
    def compare(self, field: str, op: str, value: Any) -> T:
        """Return the condition that a field compares with a value. Errors: InvalidRequest."""

    @abstractmethod
    def join(self, mark: str, parts: list[T]) -> T:
        """Return several conditions with "&" or "|" between them."""

    @abstractmethod
    def negate(self, part: T) -> T:
        """Return the opposite of a condition."""


def parse_filter(text: str, conditions: Conditions[T]) -> T:
    """Return what a filter becomes. Errors: InvalidRequest that says what cannot be read."""
    if len(text) > LONGEST:
        raise unreadable(f"it is longer than {LONGEST} characters")
    parser = _FilterParser(_tokens(text), conditions)
    found = parser.any_of(0)
    if parser.kind:
        raise unreadable(f"'{parser.word}' was not expected")
    return found


def unreadable(what: str) -> InvalidRequest:
    """Return the error for a filter that cannot be read."""
    return InvalidRequest(f"The filter cannot be read: {what}.", hint=_HINT, field="filter")


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise unreadable(f"'{text[at : at + 20]}' is not valid")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


class _FilterParser(Generic[T]):
    """Parses the tokens by recursive descent; `&` binds more tightly than `|`."""

    def __init__(self, tokens: list[tuple[str, str]], conditions: Conditions[T]) -> None:
        self._tokens = tokens
        self._conditions = conditions
        self._at = 0

    @property
    def kind(self) -> str:
        """The kind of the next token, or "" at the end."""
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    @property
    def word(self) -> str:
        """The text of the next token."""
        return self._tokens[self._at][1] if self.kind else "the end"

    def any_of(self, depth: int) -> T:
        """Parse conditions separated by ``|``."""
        return self._joined("|", self._all_of, depth)

    def _all_of(self, depth: int) -> T:
        return self._joined("&", self._one, depth)

    def _joined(self, mark: str, part: Callable[[int], T], depth: int) -> T:
        parts = [part(depth)]
        while self._skip(mark):
            parts.append(part(depth))
        return parts[0] if len(parts) == 1 else self._conditions.join(mark, parts)

    def _one(self, depth: int) -> T:
        if depth > _DEEPEST:
            raise unreadable("it is nested too deeply")
        if self._skip("!"):
            return self._conditions.negate(self._one(depth + 1))
        if self._skip("("):
            inner = self.any_of(depth + 1)
            self._need(")")
            return inner
        return self._comparison()

    def _comparison(self) -> T:
        if self.kind != "word":
            raise unreadable(f"a field's name was expected, not {self.word[:20]}")
        name = self._next()
        op = self.word
        if self.kind != "op" and op not in _WORD_OPS:
            raise unreadable(f"an operator was expected after {name[:40]}, not {op[:20]}")
        self._next()
        return self._conditions.compare(name, op, self._value())

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
        raise unreadable(f"a value was expected, not {text[:20]}; text is put in double quotes")

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
            raise unreadable(f"'{mark}' is missing")


def _unquoted(text: str) -> str:
    try:
        found: str = msgspec.json.decode(text.encode(), type=str)
    except (msgspec.DecodeError, UnicodeError):
        found = re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    if "\0" in found or (not found.isascii() and any("\ud800" <= char <= "\udfff" for char in found)):
        raise unreadable("a text has invalid characters")
    return found
