"""Sessions by their Skaha ids."""

from __future__ import annotations

from aiohttp import web

from jupyter_sessions.manager.api.session import SESSIONS
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.manager.skaha import lifetime


def listed(sessions: SessionManager, who: Key) -> list[Record]:
    """What a key may see: sessions that live, and those that ended not long ago."""
    ended = (sessions.known(one) for one in sessions.ended_since(lifetime.earliest(), who))
    found = [*filter(who.sees, sessions.live), *filter(None, ended)]
    return [record for record in found if lifetime.is_listed(record)]


def live(request: web.Request, id: str) -> Record | None:
    """The session with that Skaha id that lives, whoever has it."""
    return next((record for record in request.app[SESSIONS].live if skaha_id(record.id) == id), None)


def by_id(request: web.Request, id: str, who: Key) -> Record | None:
    """The session with that Skaha id, of those that `listed` gives; the others are not even read."""
    sessions, found = request.app[SESSIONS], live(request, id)
    if found is None:
        ended = sessions.ended_since(lifetime.earliest(), who)
        found = next((sessions.known(one) for one in ended if skaha_id(one) == id), None)
    return found if found and who.sees(found) and lifetime.is_listed(found) else None
