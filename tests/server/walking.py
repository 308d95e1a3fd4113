"""Every route of a Jupyter server: handler, methods, and an address that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from re import _constants as what  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from tornado.routing import PathMatches
from tornado.web import RequestHandler

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
UNSAFE = ("post", "put", "patch", "delete")
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==",
    "Sec-WebSocket-Version": "13",
}


@dataclass(frozen=True)
class Route:
    """One rule of the server's application."""

    handler: type[RequestHandler]
    path: str

    @property
    def ours(self) -> bool:
        """Whether it belongs to this package."""
        return self.handler.__module__.startswith("jupyter_sessions.")

    @property
    def proxied(self) -> bool:
        """Whether it leads to a service of a session."""
        return self.handler.__module__.startswith("jupyter_sessions.server.proxy")

    @property
    def socket(self) -> bool:
        """Whether it is a WebSocket."""
        return hasattr(self.handler, "on_message")

    def methods(self) -> list[str]:
        """The methods the handler has."""
        return [name for name in METHODS if getattr(self.handler, name) is not getattr(RequestHandler, name)]

    def is_open(self, method: str) -> bool:
        """Whether Jupyter itself lets everybody in."""
        function = getattr(self.handler, method)
        allowed = getattr(function, "__allow_unauthenticated", False)
        return bool(allowed) or not self.handler.__module__.startswith(("jupyter", "jupyterlab"))


def routes(web_app: Any) -> Iterator[Route]:
    """All rules, those of extensions too."""
    yield from _below(web_app.default_router.rules)


def _below(rules: list[Any]) -> Iterator[Route]:
    for rule in rules:
        if hasattr(rule.target, "rules"):
            yield from _below(rule.target.rules)
        elif isinstance(rule.matcher, PathMatches) and isinstance(rule.target, type):
            yield Route(rule.target, sample(rule.matcher.regex.pattern))


def sample(pattern: str) -> str:
    """A path that matches a route's pattern."""
    found = "".join(_piece(*part) for part in parser.parse(pattern))
    assert re.match(pattern, found), (pattern, found)
    return found


def _piece(kind: Any, value: Any) -> str:
    if kind is what.LITERAL:
        return chr(value)
    if kind is what.SUBPATTERN:
        return "".join(_piece(*part) for part in value[-1])
    if kind in (what.MAX_REPEAT, what.MIN_REPEAT):
        least, most, inner = value
        return "".join(_piece(*part) for part in inner) * max(least, min(most, 1))
    if kind is what.BRANCH:
        return "".join(_piece(*part) for part in value[1][0])
    if kind is what.IN:
        return _one_of(value)
    return "x" if kind in (what.ANY, what.NOT_LITERAL) else ""


def _one_of(choices: list[Any]) -> str:
    kind, value = choices[0]
    if kind is what.LITERAL:
        return chr(value)
    if kind is what.RANGE:
        return chr(value[0])
    return "0" if value is what.CATEGORY_DIGIT else "x"
