"""What our own faces ask of the manager itself."""

from __future__ import annotations

from aiohttp import web

from jupyter_sessions._version import __version__
from jupyter_sessions.errors import Forbidden
from jupyter_sessions.manager.api.auth import acting
from jupyter_sessions.manager.api.session import SESSIONS, answer
from jupyter_sessions.manager.core.keys import SUPERADMIN
from jupyter_sessions.manager.live_settings import LiveSettings

SETTINGS = web.AppKey("settings", LiveSettings)


async def manager(request: web.Request) -> web.Response:
    """GET /jupyter-sessions/manager: its version, the options in force, and what it has to tell people."""
    if acting(request).role != SUPERADMIN:
        raise Forbidden("Forbidden operation.", hint="Use an administrator's key.")
    notice = request.app[SESSIONS].store.notice
    return answer({"version": __version__, "notice": notice} | request.app[SETTINGS].told())
