"""Wait until a new session runs, and say why it waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from jupyter_sessions.client import Api
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import describe
from jupyter_sessions.commands.links import base_of
from jupyter_sessions.commands.progress import Progress
from jupyter_sessions.commands.result import plain
from jupyter_sessions.errors import LaunchFailed, SessionError
from jupyter_sessions.model import USABLE, SessionInfo, standing, status_word


async def wait_running(
    api: Api, row: SessionInfo, seconds: float, face: Face, progress: Progress | None = None
) -> SessionInfo:
    """Wait until a session runs, at most for some `seconds` (0: no limit), and return its row.

    `progress` tells how far it is; without it, the face does. The row is that of a session that still waits if the time is over, and of one that has ended if that was in
    success. Errors: LaunchFailed.
    """
    progress, places = progress or face.progress(), (await api.defaults()).places
    try:
        async with asyncio.timeout(seconds or None), progress:
            async for now in api.wait(row.backend, row.id, lambda row: row.settled):
                row = now
                progress.tell(row, describe(row, places))
    except (TimeoutError, asyncio.CancelledError) as stop:
        face(_still_starting(row))
        if isinstance(stop, asyncio.CancelledError):
            raise
        return row
    except SessionError:  # The session exists, even if its state cannot be read.
        if not progress.told:
            face(describe(row, places))
        raise
    if row.status not in USABLE and row.result != "SUCCESS":
        raise LaunchFailed(
            standing(row.name, row.status, row.status_info),
            hint=await _after_failure(api, row),
        )
    progress.settle(row, describe(row, places), base_of(api, face))
    return row


def _still_starting(row: SessionInfo) -> str:
    """Say that a session goes on to start although nobody waits for it any longer."""
    name = plain(row.name)
    if (word := status_word(row.status)) == "waiting":
        return f"{name} stays in the queue. `%session rm {name}` cancels it."
    return f"{name} is still {word}. `%session rm {name}` ends it."


async def _after_failure(api: Api, row: SessionInfo) -> str:
    """Return a hint about a session that failed, by what its backend still keeps of the session."""
    if row.hopeless:
        return f"As things are it never starts: `%session rm {row.name}` cancels it."
    if row.live:
        return f"`%session logs {row.name}` shows its output, `%session rm {row.name}` removes it."
    with suppress(SessionError):
        if await api.logs(row.backend, row.id):
            return f"`%session logs {row.name}` shows its output."
    with suppress(SessionError):
        await api.get(row.backend, row.id)
        return f"`%session info {row.name}` shows its details."
    return "Create it again once the cause is fixed."
