"""Answers of the Skaha API: JSON for data, plain text for all else; an error is one line of text.

Source: servers up to 1.4.0, which never send an error as JSON.
"""

from __future__ import annotations

import logging
import re

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from jupyter_sessions import errors
from jupyter_sessions.errors import InvalidRequest, SessionError

log = logging.getLogger("jupyter_sessions")

_OURS = re.compile(r"/skaha(/|$)")
_STATUSES: dict[type[SessionError], int] = {
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.InvalidRequest: 400,
    errors.AlreadyExists: 400,
    errors.NotRunning: 400,
    errors.NotEnough: 400,
    errors.NotSupported: 400,
    errors.BackendUnavailable: 503,
}
_HEADERS = {401: {"WWW-Authenticate": 'Bearer realm="skaha"'}, 503: {"Retry-After": "5"}}


def json(body: object) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def text(body: str = "", status: int = 200) -> web.Response:
    """Return a plain-text answer."""
    return web.Response(status=status, text=body, headers=_HEADERS.get(status))


def sentence(said: str, status: int) -> web.Response:
    """Return an error as one line; line breaks in the client's own text are removed."""
    return text(" ".join(said.split()) + "\n", status)


def status_of(error: SessionError) -> int:
    """Return the HTTP status of an error."""
    known = (_STATUSES[base] for base in type(error).__mro__ if base in _STATUSES)
    return next(known, error.status if error.status < 500 else 500)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors of the Skaha API into text; unexpected errors are logged, and their details hidden."""
    if not _OURS.match(request.path):
        return await handler(request)
    try:
        return await handler(request)
    except SessionError as error:
        return sentence(str(error), status_of(error))
    except web.HTTPMethodNotAllowed as error:
        answer = sentence(f"{request.method} is not supported for {request.path}.", 405)
        answer.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return answer
    except web.HTTPRequestEntityTooLarge:
        return sentence("The request is too large.", 400)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("%s %s", request.method, request.path)
        return sentence("The manager failed; see its log.", 500)


def invalid(name: str, value: str, why: str = "") -> InvalidRequest:
    """Return the error for an invalid parameter. Source of the words: servers up to 1.4.0."""
    return InvalidRequest(f"Invalid value for '{name}': {value}.", hint=why, field=name)
