"""What other people's servers answer, made into rows and lists of ours: within limits, and with one error.

A server may say anything anywhere. What is not as its API says must not show up as an error of Python, nor get
into rows that are then encoded, pushed and stored.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from jupyter_sessions.amounts import human_size
from jupyter_sessions.errors import BadAnswer, SessionError
from jupyter_sessions.model import SessionInfo

log = logging.getLogger("jupyter_sessions")

MOST_ROWS = 10_000
"""The most sessions of one backend that are read."""
MOST_BYTES = 1024**2
"""The largest row that is read."""
_ON_LOOP_ROWS = 100
_FAULTS = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError, ValueError)

T = TypeVar("T")
Convert = Callable[[Any], SessionInfo]


@contextmanager
def understood(who: str) -> Iterator[None]:
    """Turn whatever goes wrong while an answer is read into an error for people. Errors: BadAnswer."""
    try:
        yield
    except SessionError:
        raise
    except _FAULTS as error:
        log.info("%s gave an answer that cannot be understood", who, exc_info=error)
        raise BadAnswer(
            f"{who} gave an answer that does not follow its API.",
            hint="Check its address, or ask who runs it.",
        ) from error


def sound(value: T, kind: type[T], who: str) -> T:
    """Return a value as whoever is sent it will read it. Errors: BadAnswer for one that cannot be sent."""
    with understood(who):
        encoded = msgspec.json.encode(value)
        if len(encoded) > MOST_BYTES * (1 if kind is SessionInfo else 16):
            raise too_much(who, f"{human_size(len(encoded))} about one thing")
        return msgspec.json.decode(encoded, type=kind)


async def made_of(answer: object, convert: Callable[[Any], T], kind: type[T], who: str) -> T:
    """Convert an answer, in a thread if it is a long list. Errors: BadAnswer."""
    if not isinstance(answer, list) or len(answer) <= _ON_LOOP_ROWS:
        return _made(answer, convert, kind, who)
    if len(answer) > MOST_ROWS:
        raise too_much(who, f"a list of more than {MOST_ROWS:,}")
    return await asyncio.to_thread(_made, answer, convert, kind, who)


def _made(answer: object, convert: Callable[[Any], T], kind: type[T], who: str) -> T:
    with understood(who):
        return sound(convert(answer), kind, who)


async def rows_of(items: object, convert: Convert, who: str, *, already: int = 0) -> list[SessionInfo]:
    """Convert the rows of an answer, many of them in a thread; `already` is how many came before them.

    Errors: BadAnswer.
    """
    if not isinstance(items, list):
        with understood(who):
            raise TypeError("the rows are no list")
    if already + len(items) > MOST_ROWS:
        raise too_much(who, f"more than {MOST_ROWS:,} sessions")
    if len(items) <= _ON_LOOP_ROWS:
        return _converted(items, convert, who)
    return await asyncio.to_thread(_converted, items, convert, who)


def _converted(items: list[Any], convert: Convert, who: str) -> list[SessionInfo]:
    with understood(who):
        return [sound(convert(item), SessionInfo, who) for item in items]


def too_much(who: str, what: str) -> BadAnswer:
    """Return the error of an answer that is too large to be read."""
    return BadAnswer(
        f"{who} gave an answer that is not read: {what}.", hint="Ask for fewer, or ask who runs it."
    )
