"""The status history, journal, dependencies and timers of a session. Source: managers 23.09 to 26.8."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from aiohttp import web

from jupyter_sessions.channels.journal import FOLDER, read
from jupyter_sessions.channels.journal_messages import read_selection
from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.auth import acting
from jupyter_sessions.manager.api.context import QueryContext
from jupyter_sessions.manager.api.session import SESSIONS, answer, find, find_any
from jupyter_sessions.manager.core.record import Record

MATCHES = 10
_DEEPEST = 100
_LOWER = ("PREPARING", "TERMINATED")


async def status_history(request: web.Request) -> web.Response:
    """Answer GET /session/{ref}/status-history: when each status was last entered, of live and ended sessions.

    The command line reads two statuses in lower case (23.9.10 to 26.9.6), so both spellings are included.
    """
    record = find_any(request)
    times = {status: when.isoformat() for status, when in record.history.items()}
    times |= {status.lower(): times[status] for status in _LOWER if status in times}
    return answer({"result": times})


async def outputs(request: web.Request) -> web.Response:
    """Answer GET …/{ref}/outputs?since=…&last=…&number=…&heads=… from the journal."""
    record = find_any(request)
    which = read_selection(request.query)
    found = await asyncio.to_thread(read, Path(record.folder) / FOLDER, which, live=record.live)
    return answer({"result": found})


async def dependency_graph(request: web.Request) -> web.Response:
    """Answer GET /session/{ref}/dependency-graph: the session and its dependencies, recursively."""
    return answer(_graph(find_any(request), QueryContext(request.app[SESSIONS], acting(request)), set()))


def _graph(record: Record, context: QueryContext, above: set[str]) -> dict[str, Any]:
    """Return a session in the command line's form: its status begins with "KernelStatus.", its time holds a blank.

    Errors: InvalidRequest for a graph that is too large.
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
    """Answer GET /session/_/match?id=…: sessions whose id or name begins with a text.

    The newest come first; ended ones are included.
    """
    text = request.query.get("id", "")
    if not text:
        raise InvalidRequest(
            "The id or name to look for is missing.", hint="Give the beginning of an id or name.", field="id"
        )
    found = request.app[SESSIONS].beginning(text, acting(request), MATCHES)
    return answer({"matches": [{"id": one.id, "name": one.name, "status": one.status} for one in found]})


async def renew(request: web.Request) -> web.Response:
    """Answer POST …/{ref}/renew: restart the idle timeout and time limit."""
    request.app[SESSIONS].renew(find(request))
    return web.Response(status=204)


async def touch(request: web.Request) -> web.Response:
    """Answer POST …/{ref}/touch: record use of a session over another connection."""
    request.app[SESSIONS].touch(find(request))
    return web.Response(status=204)
