"""Encode requests as JSON, and explain why a request cannot be encoded."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from jupyter_sessions.errors import InvalidRequest

_GROUPS = frozenset({"config", "launch", "variables"})


def encoded(body: object) -> bytes:
    """Encode a body as JSON. Errors: InvalidRequest naming the field whose text is not Unicode."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        path = _unsendable(msgspec.to_builtins(body)) or []
        field = next((key for key in path if key not in _GROUPS), "")
        raise InvalidRequest(
            f"{f'The value of {field!r}' if field else 'The request'} holds text that is not UTF-8.",
            hint="Use names and values that are Unicode text.",
            field=field,
        ) from None


def _unsendable(value: object) -> list[str] | None:
    """Return the keys that lead to the first text that cannot be encoded, or None."""
    parts: Iterable[tuple[str, object]] = ()
    match value:
        case str():
            return None if is_text(value) else []
        case dict():
            parts = ((key if is_text(key) else "", (key, part)) for key, part in value.items())
        case list() | tuple():
            parts = (("", part) for part in value)
    for key, part in parts:
        below = _unsendable(part)
        if below is not None:
            return [*filter(None, [key]), *below]
    return None


def is_text(value: str) -> bool:
    """Return whether a string can be encoded: a string with lone surrogates cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
