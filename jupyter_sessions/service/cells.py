"""Give every cell an end, whatever happens to its session.

Backends must end a cell whose kernel has gone. If one keeps silent, the session is looked at now and then; if one
stops without a reply, the cell ends with an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from jupyter_sessions.backends.base import Output
from jupyter_sessions.errors import BackendUnavailable, SessionError, SessionNotFound
from jupyter_sessions.model import SessionInfo

QUIET_SECONDS = 5.0
"""How long a cell may say nothing before its session is looked at."""
_LAST_WORDS_SECONDS = 1.0
_AHEAD = 100

Look = Callable[[], Awaitable[SessionInfo]]


class Unfinished(BackendUnavailable):
    """A cell has no reply and will not get one."""


async def with_end(items: AsyncIterator[Output], look: Look) -> AsyncIterator[Output]:
    """Yield the outputs of a cell up to its reply. `look` returns the session's row.

    Errors: those of the cell; Unfinished if its session or kernel has gone, or the backend stops without a reply.
    """
    said: asyncio.Queue[Output | Exception | None] = asyncio.Queue(_AHEAD)
    pump = asyncio.create_task(_pump(items, said))
    watched = _RunningCell(look)
    try:
        while (one := await _next(said, watched)) is not None:
            if isinstance(one, Exception):
                raise one
            yield one
            if one.kind == "reply":
                return
        raise Unfinished("The backend gave no end of the cell.")
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)


async def _pump(items: AsyncIterator[Output], said: asyncio.Queue[Output | Exception | None]) -> None:
    """Read all outputs in one task, because a generator must not be cancelled between two outputs."""
    try:
        async for one in items:
            await said.put(one)
    except Exception as error:
        await said.put(error)
    else:
        await said.put(None)


async def _next(
    said: asyncio.Queue[Output | Exception | None], watched: _RunningCell
) -> Output | Exception | None:
    """Return the next output, an error, or None at the end."""
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                return await said.get()
        if await watched.gone():
            with suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_SECONDS):
                    return await said.get()
            return None


class _RunningCell:
    """The session in which a cell runs."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._restarts: int | None = None

    async def gone(self) -> bool:
        """Return whether the kernel of the cell has gone."""
        try:
            row = await self._look()
        except SessionNotFound:
            return True
        except SessionError:  # That says nothing about the session.
            return False
        if self._restarts is None:
            self._restarts = row.restarts
        return not row.live or row.status == "ERROR" or row.restarts != self._restarts
