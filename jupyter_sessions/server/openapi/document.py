"""The OpenAPI 3.1 document of the REST API (https://spec.openapis.org/oas/v3.1.0)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import structs

from jupyter_sessions.server import handlers
from jupyter_sessions.server.base import BaseHandler
from jupyter_sessions.server.bodies import Problem
from jupyter_sessions.server.openapi import schemas
from jupyter_sessions.server.openapi.services import SERVICES
from jupyter_sessions.server.operation import Operation, PlainText, ResponseType, Stream, operation_of
from jupyter_sessions.wire.access import PROTOCOL, SCHEME, VARIABLE
from jupyter_sessions.wire.sse import CLOSE

METHODS = ("get", "post", "put", "patch", "delete")
PREFIX = "/jupyter-sessions"
_GROUP = re.compile(r"\(\?P<(\w+)>[^)]*\)")
_PEOPLE: list[dict[str, list[str]]] = [{"token": []}, {"query": []}, {"login": []}]
_KERNELS: list[dict[str, list[str]]] = [{"kernel": []}]
_SECURITY = {"anyone": _PEOPLE + _KERNELS, "person": _PEOPLE, "kernel": _KERNELS}
_ABOUT = """\
Compute sessions on all backends of a Jupyter server. The body of every error response is a `Problem`. Long operations
do not block: a request for a new session is answered at once with 202, and the stream of events reports when the
session runs."""
_SCHEMES = {
    "token": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`token VALUE`, with a token of the Jupyter server, or of JupyterHub.",
    },
    "query": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The same token as a parameter.",
    },
    "login": {
        "type": "apiKey",
        "in": "cookie",
        "name": "username-HOST",
        "description": "The cookie of a person who has logged in to the Jupyter server. Methods other than GET also"
        " need the value of the cookie `_xsrf` in the header `X-XSRFToken`.",
    },
    "kernel": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": f"`{SCHEME} VALUE`, with the server's token for its kernels, from the file that the environment"
        f" variable `{VARIABLE}` names. The token is valid for these routes only.",
    },
}


def operations() -> Iterator[tuple[str, str, type[BaseHandler], Operation]]:
    """Yield all operations of our handlers: path, method, handler and description."""
    for pattern, handler in handlers.ROUTES:
        for method in METHODS:
            if described := operation_of(getattr(handler, method)):
                yield PREFIX + _GROUP.sub(r"{\1}", pattern).replace("\\.", "."), method, handler, described


def models() -> dict[str, schemas.Schema]:
    """Return the schemas of all bodies of requests and answers."""
    roots: list[type[msgspec.Struct]] = [Problem]
    for *_, described in operations():
        roots += [] if described.body is None or isinstance(described.body, PlainText) else [described.body]
        for answer in described.answers.values():
            roots += _models_of(answer)
    return schemas.schemas(roots)


def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for path, method, handler, described in operations():
        item = paths.setdefault(path, _parameters_of(path))
        item[method] = _operation(method, handler, described)
    problem = {"description": "An error, for people and programs.", "content": _json(Problem)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Jupyter compute sessions", "version": str(PROTOCOL), "description": _ABOUT},
        "servers": [
            {
                "url": "{server}",
                "variables": {
                    "server": {
                        "default": "http://localhost:8888",
                        "description": "The Jupyter server's URL with its base URL, without a slash at the end.",
                    }
                },
            }
        ],
        "security": _SECURITY["anyone"],
        "paths": paths | {PREFIX + path: item for path, item in SERVICES.items()},
        "components": {
            "schemas": models(),
            "responses": {"Problem": problem},
            "securitySchemes": _SCHEMES,
        },
    }


def _parameters_of(path: str) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", path)
    kind = {"in": "path", "required": True, "schema": {"type": "string"}}
    return {"parameters": [{"name": name, **kind} for name in names]} if names else {}


def _operation(method: str, handler: type[BaseHandler], described: Operation) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": method + handler.__name__.removesuffix("Handler"),
        "summary": inspect.getdoc(getattr(handler, method)),
    }
    if described.caller != "anyone":
        said["security"] = _SECURITY[described.caller]
    if described.query:
        said["parameters"] = [
            {"name": name, "in": "query", "description": meaning, "schema": schemas.parameter(kind)}
            for name, (kind, meaning) in described.query.items()
        ]
    if isinstance(described.body, PlainText):
        said["requestBody"] = {"required": True, "content": _text(described.body)}
    elif described.body:
        needed = any(field.required for field in structs.fields(described.body))
        said["requestBody"] = {"required": needed, "content": _json(described.body)}
    answers = {str(status): _answer(status, answer) for status, answer in described.answers.items()}
    return said | {"responses": answers | {"default": {"$ref": "#/components/responses/Problem"}}}


def _answer(status: int, answer: ResponseType) -> dict[str, Any]:
    said: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(answer, Stream):
        events = {name: schemas.reference(model) for name, model in answer.events.items()}
        schema = {"type": "string", "description": f"Events with JSON data; the last one is `{CLOSE}`."}
        said["content"] = {"text/event-stream": {"schema": schema, "x-events": events}}
    elif isinstance(answer, PlainText):
        said["content"] = _text(answer)
    elif answer is not None:
        said["content"] = _json(*_models_of(answer))
    return said


def _text(body: PlainText) -> dict[str, Any]:
    return {body.media_type: {"schema": {"type": "string"}}}


def _json(*kinds: type[msgspec.Struct]) -> dict[str, Any]:
    references = [schemas.reference(kind) for kind in kinds]
    return {"application/json": {"schema": references[0] if len(kinds) == 1 else {"anyOf": references}}}


def _models_of(answer: ResponseType) -> list[type[msgspec.Struct]]:
    if isinstance(answer, Stream):
        return [*answer.events.values()]
    if isinstance(answer, PlainText) or answer is None:
        return []
    return [*answer] if isinstance(answer, tuple) else [answer]
