"""Do the same to several sessions: one line for each, one error for all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import plain
from jupyter_sessions.errors import SessionError

_AT_ONCE = 16


async def each(refs: Sequence[str], act: Callable[[str], Awaitable[None]], face: Face) -> None:
    """Call `act` for several sessions at once.

    Errors: that of the only session that failed; SessionError if several did, whose errors are told before.
    """
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(ref: str) -> SessionError | None:
        try:
            async with turn:
                await act(ref)
        except SessionError as error:
            return error
        return None

    failures = [error for error in await asyncio.gather(*map(one, dict.fromkeys(refs))) if error]
    if len(failures) == 1:
        raise failures[0]
    for failure in failures:
        face.complain(plain(str(failure)))
    if failures:
        raise SessionError(f"{len(failures)} of {len(refs)} failed.", hint="The reasons are above.")
