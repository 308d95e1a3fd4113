"""Every route of the Skaha API. No address redirects, because Skaha's clients treat a redirect as an error.

Slashes may be doubled, and stand at the end: skaha 1.7.0 sends such addresses.
"""

from __future__ import annotations

from itertools import count

from aiohttp import web
from aiohttp.typedefs import Handler

from jupyter_sessions.errors import NotFound
from jupyter_sessions.manager.skaha import about, notebook, session, vosi

_ID = "{id}"


def _path(*segments: str) -> str:
    number = count()
    parts = (f"{{slashes{next(number)}:/+}}{segment}" for segment in segments)
    return f"/skaha{''.join(parts)}{{end:/*}}"


def _versioned(*segments: str) -> str:
    return _path("{version:v[01]}", *segments)


async def nothing(request: web.Request) -> web.Response:
    """Answer 404 for all other addresses."""
    raise NotFound(f"There is nothing at {request.path}.")


OPEN: frozenset[Handler] = frozenset({vosi.availability, vosi.capabilities, notebook.serve})
"""Handlers that need no bearer token; a notebook has a token of its own."""

_FOR_KEYS = {
    _versioned("session"): session.SessionsView,
    _versioned("session", _ID): session.SessionView,
    _versioned("session", _ID, "{apps}"): session.AppsView,
    _versioned("session", _ID, "{apps}", "{app}"): session.AppsView,
    _versioned("context"): about.ContextView,
    _versioned("image"): about.ImagesView,
    _versioned("repository"): about.RepositoriesView,
}

ROUTES = [
    web.get(_path("availability"), vosi.availability),
    web.get(_path("capabilities"), vosi.capabilities),
    web.route("*", "/skaha/session/notebook/{id}{path:(/.*)?}", notebook.serve),
    *(web.view(path, view) for path, view in _FOR_KEYS.items()),
    web.route("*", _versioned("session", _ID, "{apps}", "{app}", "{more:.+}"), session.too_long),
    web.route("*", "/skaha{rest:(/.*)?}", nothing),
]

BEARER: frozenset[Handler] = frozenset({session.too_long, nothing, *_FOR_KEYS.values()})
"""Handlers that need a key's bearer token."""
