"""What became of a session, what it printed, what it depends on, and its clocks. Source: managers 23.09 to 26.8."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from jupyter_sessions.channels.journal_messages import read_selection
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.auth import acting
from jupyter_sessions.manager.api.context import QueryContext
from jupyter_sessions.manager.api.session import SESSIONS, answer, find, find_any
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.run.journal import FOLDER, read

MATCHES = 10
_DEEPEST = 100
_LOWER = ("PREPARING", "TERMINATED")


async def status_history(request: web.Request) -> web.Response:
    """GET /session/{ref}/status-history: when each status was last entered, of live and ended sessions.

    The command line reads two of them in lower case (23.9.10 to 26.9.6), so both are there.
    """
    record = find_any(request)
    times = {status: when.isoformat() for status, when in record.history.items()}
    times |= {status.lower(): times[status] for status in _LOWER if status in times}
    return answer({"result": times})


async def outputs(request: web.Request) -> web.Response:
    """GET /session/{ref}/outputs?since=…&last=…&number=…&heads=…: the journal, of live and ended sessions. Ours."""
    record = find_any(request)
    which = read_selection(request.query)
    found = await asyncio.to_thread(read, Path(record.folder) / FOLDER, which, live=record.live)
    return answer({"result": found})


async def dependency_graph(request: web.Request) -> web.Response:
    """GET /session/{ref}/dependency-graph: the session, what it depends on, what that depends on."""
    return answer(_graph(find_any(request), QueryContext(request.app[SESSIONS], acting(request)), set()))


def _graph(record: Record, context: QueryContext, above: set[str]) -> dict[str, Any]:
    """A session as the command line wants it: its status begins with "KernelStatus.", the time has a blank.

    Errors: InvalidRequest for one that is too large.
    """
    context.spend(1)
    if len(above) > _DEEPEST:
        raise InvalidRequest(f"The session depends on others over more than {_DEEPEST} steps.")
    found = [context.sessions.known(one) for one in record.dependencies if one not in above]
    others = [other for other in found if other and context.who.sees(other)]
    return {
        "session_id": record.id,
        "session_name": record.name,
        "status": f"KernelStatus.{record.status}",
        "status_changed": str(record.changed),
        "depends_on": [_graph(other, context, above | {record.id}) for other in others],
    }


async def match(request: web.Request) -> web.Response:
    """GET /session/_/match?id=…: sessions whose id or name begins with that, newest first, ended ones too."""
    text = request.query.get("id", "")
    if not text:
        raise InvalidRequest(
            "The id or name to look for is missing.", hint="Give the beginning of an id or name.", field="id"
        )
    found = request.app[SESSIONS].beginning(text, acting(request), MATCHES)
    return answer({"matches": [{"id": one.id, "name": one.name, "status": one.status} for one in found]})


async def renew(request: web.Request) -> web.Response:
    """POST /session/{ref}/renew (ours): idle timeout and time limit count anew."""
    request.app[SESSIONS].renew(find(request))
    return web.Response(status=204)


async def touch(request: web.Request) -> web.Response:
    """POST /session/{ref}/touch (ours): somebody works in it through a connection that does not pass here."""
    request.app[SESSIONS].touch(find(request))
    return web.Response(status=204)
