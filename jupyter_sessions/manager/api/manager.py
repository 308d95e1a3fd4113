"""The state of the manager itself, for our own clients."""

from __future__ import annotations

from aiohttp import web

from jupyter_sessions._version import __version__
from jupyter_sessions.errors import Forbidden
from jupyter_sessions.manager.activity import ACTIVITY, takeover_obstacles
from jupyter_sessions.manager.api.auth import acting
from jupyter_sessions.manager.api.session import SESSIONS, answer
from jupyter_sessions.manager.core.keys import SUPERADMIN
from jupyter_sessions.manager.live_settings import LiveSettings

SETTINGS = web.AppKey("settings", LiveSettings)


async def manager(request: web.Request) -> web.Response:
    """Answer GET /jupyter-sessions/manager: the state of the manager.

    The answer holds its version, the options in force, a notice for people, and why it cannot be replaced now.
    """
    if acting(request).role != SUPERADMIN:
        raise Forbidden("Forbidden operation.", hint="Use an administrator's key.")
    sessions = request.app[SESSIONS]
    about = {
        "version": __version__,
        "notice": sessions.store.notice,
        "in_the_way": takeover_obstacles(sessions, request.app[ACTIVITY]),
    }
    return answer(about | request.app[SETTINGS].describe())
