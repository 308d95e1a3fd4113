"""Route requests for services to the handlers for HTTP and WebSockets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tornado.routing import PathMatches

from .contract import ROOT
from .http import HttpHandler
from .shared_origin import KEY
from .websocket import SocketHandler

if TYPE_CHECKING:
    from tornado.httputil import HTTPServerRequest

_NAME = r"(?!\.+(?:/|$))[A-Za-z0-9_.-]+"
_SERVICE = rf"{_NAME}(?::[0-9]+)?"
_REST = rf"(?P<backend>{_NAME})/(?P<id>[A-Za-z0-9_-]+)/(?P<service>{_SERVICE})(?P<path>/.*)?"


class UpgradeMatches(PathMatches):
    """Matches a path only where the request asks to become a WebSocket."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return the named parts of the path, or None if the request is not a WebSocket handshake."""
        upgrade = request.headers.get("Upgrade", "").lower()
        if request.method != "GET" or upgrade != "websocket":
            return None
        return super().match(request)


def handlers(base_url: str) -> list[tuple[Any, ...]]:
    """Return the rules for `web_app.add_handlers(".*$", …)`; `base_url` is the server's, with both slashes."""
    pattern = re.escape(base_url) + ROOT + KEY + _REST
    return [(UpgradeMatches(pattern), SocketHandler), (pattern, HttpHandler)]
