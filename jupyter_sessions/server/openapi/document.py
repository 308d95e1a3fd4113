"""The OpenAPI 3.1 document of the REST API (https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from jupyter_sessions.server import handlers
from jupyter_sessions.server.base import BaseHandler
from jupyter_sessions.server.bodies import Problem
from jupyter_sessions.server.openapi import schemas
from jupyter_sessions.server.operation import Operation, PlainText, ResponseType, Stream, operation_of

METHODS = ("get", "post", "put", "patch", "delete")
_NAMED = re.compile(r"\(\?P<(\w+)>[^)]*\)")


def operations() -> Iterator[tuple[str, str, type[BaseHandler], Operation]]:
    """All operations of our handlers: path, method, handler and description."""
    for pattern, handler in handlers.ROUTES:
        for method in METHODS:
            if described := operation_of(getattr(handler, method)):
                yield _NAMED.sub(r"{\1}", pattern), method, handler, described


def models() -> dict[str, schemas.Schema]:
    """Return the schemas of all that requests and answers hold."""
    roots: list[type[msgspec.Struct]] = [Problem]
    for *_, described in operations():
        roots += [described.body] if described.body else []
        for answer in described.answers.values():
            roots += _models_of(answer)
    return schemas.schemas(roots)


def _models_of(answer: ResponseType) -> list[type[msgspec.Struct]]:
    if isinstance(answer, Stream):
        return [*answer.events.values()]
    if isinstance(answer, PlainText) or answer is None:
        return []
    return [*answer] if isinstance(answer, tuple) else [answer]
