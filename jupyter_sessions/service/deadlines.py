"""Call backends with a deadline, and turn every failure into an error for people."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.signin import SignIn
from jupyter_sessions.errors import BackendTimeout, BackendUnavailable, BadAnswer, SessionError, Unauthorized

log = logging.getLogger("jupyter_sessions")

LOOK_SECONDS = 5.0
GET_SECONDS = 15.0
ACT_SECONDS = 60.0
RESTART_SECONDS = 180.0

T = TypeVar("T")


async def ask(backend: Backend, work: Awaitable[T], seconds: float, *, acts: bool = False) -> T:
    """Return the result of a call to a backend, within `seconds` unless 0; `acts` says that it may change something.

    Errors: its own; BackendTimeout after `seconds`; BackendUnavailable for an error of the operating
    system; BadAnswer for any other exception, which is logged.
    """
    try:
        async with asyncio.timeout(seconds or None):
            return await work
    except Exception as error:
        raise translated(backend, error, seconds, acts=acts) from error


async def follow(backend: Backend, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yield the items of a backend without a deadline, with failures translated as by `ask`."""
    try:
        async for item in items:
            yield item
    except Exception as error:
        raise translated(backend, error) from error


def state_of(backend: Backend) -> SignIn:
    """Return who is signed in to a backend; nobody, if the backend fails to tell."""
    try:
        return backend.sign_in_state()
    except Exception as error:
        log.debug("The backend '%s' cannot tell who is signed in", backend.name, exc_info=error)
        return SignIn()


def _with_remedy(backend: Backend, error: SessionError) -> SessionError:
    """Add the command that renews the credentials to a refusal."""
    if isinstance(error, Unauthorized) and not error.field:
        renew = state_of(backend).renew
        if renew and renew not in error.hint:
            error.hint = f"{error.hint} `{renew}` does that.".strip()
    return error


def translated(backend: Backend, error: Exception, seconds: float = 0, *, acts: bool = False) -> SessionError:
    """Return an exception of a backend as a SessionError."""
    if isinstance(error, SessionError):
        return _with_remedy(backend, error)
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
