"""Find sessions whose create request lost its answer; the request is never sent again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from jupyter_sessions.errors import (
    AlreadyExists,
    BackendTimeout,
    BackendUnavailable,
    BadAnswer,
    NotReached,
    NotSupported,
    SessionError,
)
from jupyter_sessions.model import SessionInfo

LOST = (BackendTimeout, BackendUnavailable, BadAnswer)
"""The errors of an answer that did not come, or not completely."""

_PAUSES = (0.0, 0.5, 1.0, 2.0)


def may_be_done(error: SessionError) -> bool:
    """Return whether the request may have been carried out: servers that failed may have done so, too."""
    return error.status >= 500 and not isinstance(error, (NotReached, NotSupported))


async def recovered(error: SessionError, look: Callable[[], Awaitable[SessionInfo | None]]) -> SessionInfo:
    """Return the session that `look` finds by its name within some seconds.

    Errors: AlreadyExists that `look` finds instead; the given one if there is none.
    """
    for pause in _PAUSES:
        await asyncio.sleep(pause)
        try:
            if row := await look():
                return row
        except AlreadyExists:
            raise
        except SessionError:
            continue
    when = error.hint.removesuffix("Try again.")
    error.hint = f"It may still be made: look at the list before you try again. {when}".strip()
    raise error
