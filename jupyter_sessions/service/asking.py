"""Asking a backend: with a deadline, and with every failure as an error for people."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.errors import BackendTimeout, BackendUnavailable, BadAnswer, SessionError

log = logging.getLogger("jupyter_sessions")

LOOK_SECONDS = 5.0
GET_SECONDS = 15.0
ACT_SECONDS = 60.0
RESTART_SECONDS = 180.0

T = TypeVar("T")


async def ask(backend: Backend, work: Awaitable[T], seconds: float, *, acts: bool = False) -> T:
    """What a backend answers; `acts` if that changes something, rather than only looks.

    Errors: its own; BackendTimeout after `seconds`; BackendUnavailable for an error of the operating
    system; BadAnswer for any other exception, which is logged.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except Exception as error:
        raise translated(backend, error, seconds, acts=acts) from error


async def follow(backend: Backend, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """The items of a backend, its failures translated as by `ask`. Without a deadline."""
    try:
        async for item in items:
            yield item
    except Exception as error:
        raise translated(backend, error) from error


def translated(backend: Backend, error: Exception, seconds: float = 0, *, acts: bool = False) -> SessionError:
    """An exception that came out of a backend as an error of ours."""
    if isinstance(error, SessionError):
        return error
    if isinstance(error, TimeoutError) and seconds:
        late = "It may still do what was asked: look at the list before you try again."
        hint = late if acts else "Try again."
        return BackendTimeout(f"{backend.title} did not answer within {seconds:.0f} s.", hint=hint)
    if isinstance(error, OSError):
        return BackendUnavailable(
            f"{backend.title} cannot be used: {error}.", hint="Repair that and try again."
        )
    log.error("The backend '%s' failed", backend.name, exc_info=error)
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    return BadAnswer(f"The backend '{backend.name}' failed: {said}.", hint="The log says more.")
