"""Find sessions by their Skaha ids."""

from __future__ import annotations

from aiohttp import web

from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.manager.skaha import lifetime


def listed(sessions: SessionManager, who: Key) -> list[Record]:
    """Return the sessions that a key may see: live ones, and those that ended recently."""
    ended = (sessions.known(one) for one in sessions.ended_since(lifetime.earliest(), who))
    found = [*filter(who.sees, sessions.live), *filter(None, ended)]
    return [record for record in found if lifetime.is_listed(record)]


def live(request: web.Request, id: str) -> Record | None:
    """Return the live session with a Skaha id, whoever owns it."""
    return next((record for record in request.app[SESSIONS].live if skaha_id(record.id) == id), None)


def by_id(request: web.Request, id: str, who: Key) -> Record | None:
    """Return the session with a Skaha id among those that `listed` returns, without reading the others."""
    sessions, found = request.app[SESSIONS], live(request, id)
    if found is None:
        ended = sessions.ended_since(lifetime.earliest(), who)
        found = next((sessions.known(one) for one in ended if skaha_id(one) == id), None)
    return found if found and who.sees(found) and lifetime.is_listed(found) else None
