"""The journal of a session: what it printed, by execution. A route of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from jupyter_sessions.channels.journal_messages import read_selection
from jupyter_sessions.manager.api.session import answer, find_any
from jupyter_sessions.manager.run.journal import FOLDER, read


async def outputs(request: web.Request) -> web.Response:
    """GET /session/{ref}/outputs?since=…&last=…&number=…&heads=…: of live and ended sessions."""
    record = find_any(request)
    which = read_selection(request.query)
    found = await asyncio.to_thread(read, Path(record.folder) / FOLDER, which, live=record.live)
    return answer({"result": found})
