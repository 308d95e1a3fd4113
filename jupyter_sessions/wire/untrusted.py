"""Decode JSON from others within limits, with one kind of error for everything that can be wrong with it.

msgspec raises `RecursionError`, `UnicodeError` or `ValueError` for some texts that are not valid JSON, and takes as
much memory and time as a text asks for: `[],[],…` becomes twenty times as large.
"""

from __future__ import annotations

import asyncio
from itertools import accumulate
from typing import Any, TypeVar, cast, overload

import msgspec

from jupyter_sessions.errors import BadAnswer

T = TypeVar("T")

MOST_DEPTH = 64
"""The deepest nesting of lists and objects."""
MOST_VALUES = 1_000_000
"""The most values that a text may hold."""
ON_LOOP_BYTES = 256 * 1024
"""The longest text that is decoded on the event loop; longer ones are decoded in a thread."""
_OPENING = b"[{"
_CLOSING = b"]}"
_NO_BRACKET = bytes(byte for byte in range(256) if byte not in _OPENING + _CLOSING)
_STEPS = dict.fromkeys(_OPENING, 1) | dict.fromkeys(_CLOSING, -1)
_PIECE = 32 * 1024
"""Bytes to scan at a time; other threads can run between two pieces."""


class LimitExceeded(BadAnswer, msgspec.DecodeError):
    """A text whose value would be too large to decode."""


@overload
def decode(text: bytes | str) -> Any: ...


@overload
def decode(text: bytes | str, *, type: type[T]) -> T: ...


def decode(text: bytes | str, *, type: Any = Any) -> Any:
    """Decode JSON that is at most `MOST_DEPTH` deep and holds at most `MOST_VALUES` values.

    Errors: msgspec.DecodeError for any invalid text; msgspec.ValidationError for another type.
    """
    return _decode(text, type, MOST_VALUES, MOST_DEPTH)


async def decode_gently(
    text: bytes | str, *, type: Any = Any, values: int = MOST_VALUES, depth: int = MOST_DEPTH
) -> Any:
    """Decode JSON like `decode`, but a long text in a thread, so that the event loop is not blocked.

    Errors: those of `decode`.
    """
    if len(text) <= ON_LOOP_BYTES:
        return _decode(text, type, values, depth)
    return await asyncio.to_thread(_decode, text, type, values, depth)


def _decode(text: bytes | str, type: Any, values: int, depth: int) -> Any:
    check(text, values=values, depth=depth)
    return _read(text, type)


def read(text: bytes | str, type: type[T]) -> T:
    """Decode JSON of any size and depth that msgspec can decode, such as our own files. Errors: those of `decode`."""
    return cast("T", _read(text, type))


def _read(text: bytes | str, type: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=type)
    except msgspec.DecodeError:
        raise
    except (RecursionError, ValueError, OverflowError) as error:
        raise msgspec.DecodeError(f"JSON is malformed: {error}") from None


def check(text: bytes | str, *, values: int = MOST_VALUES, depth: int = MOST_DEPTH) -> None:
    """Check without decoding whether the value of a text keeps to the limits. Errors: LimitExceeded."""
    data = text.encode(errors="replace") if isinstance(text, str) else text
    opened = data.count(b"[") + data.count(b"{")
    if opened <= depth and opened + data.count(b",") < values:
        return
    scan = _Scan(values, depth)
    for start in range(0, len(data), _PIECE):
        scan.take(data[start : start + _PIECE])


class _Scan:
    """Counts the values of a text and measures its depth, piece by piece, ignoring what is in quotes."""

    def __init__(self, values: int, most_depth: int = MOST_DEPTH) -> None:
        self._values_left = values
        self._most_depth = most_depth
        self._depth = 0
        self._quoted = False
        self._escape = b""

    def take(self, piece: bytes) -> None:
        """Scan the next piece. Errors: LimitExceeded."""
        outside = self._outside(self._escape + piece)
        opened = outside.count(b"[") + outside.count(b"{")
        self._values_left -= opened + outside.count(b",")
        if self._values_left <= 0:
            raise LimitExceeded("JSON holds too many values")
        if self._depth + opened > self._most_depth:
            self._measure(outside.translate(None, _NO_BRACKET))
        else:
            self._depth += opened - outside.count(b"]") - outside.count(b"}")

    def _outside(self, piece: bytes) -> bytes:
        """Return the part of a piece that is not in quotes."""
        plain = piece.replace(rb"\\", b"").replace(rb"\"", b"")
        self._escape = plain[-1:] if plain.endswith(b"\\") else b""
        parts = plain.split(b'"')
        outside = b"".join(parts[self._quoted :: 2])
        self._quoted ^= len(parts) % 2 == 0
        return outside

    def _measure(self, brackets: bytes) -> None:
        *_, self._depth = depths = [*accumulate(map(_STEPS.__getitem__, brackets), initial=self._depth)]
        if max(depths) > self._most_depth:
            raise LimitExceeded(f"JSON is nested more than {self._most_depth} deep")
