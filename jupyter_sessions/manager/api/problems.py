"""Errors in the form of Backend.AI's managers: problem JSON with `type`, `title`, `msg` and `data`.

Source: clients 23.9.10 to 26.9.6, tested with answers of managers 23.09 to 26.8; these clients require `type` and
`title`. The members `reason`, `hint` and `field` are additions of this manager.
"""

from __future__ import annotations

import json
import logging
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from jupyter_sessions import errors
from jupyter_sessions.errors import InvalidRequest, SessionError
from jupyter_sessions.manager.api.versions import TOO_MUCH, is_kernel

log = logging.getLogger("jupyter_sessions")


class BadAuthParams(InvalidRequest):
    """The authorization headers cannot be read."""


_PREFIX = "https://api.backend.ai/probs/"
_KINDS: dict[type[SessionError], tuple[int, str, str]] = {
    BadAuthParams: (400, "invalid-auth-params", "Missing or invalid authorization parameters."),
    InvalidRequest: (400, "invalid-api-params", "Missing or invalid API parameters."),
    errors.Unauthorized: (401, "auth-failed", "Credential/signature mismatch."),
    errors.Forbidden: (403, "generic-forbidden", "Forbidden operation."),
    errors.SessionNotFound: (404, "object-not-found", "No such session."),
    errors.NotFound: (404, "object-not-found", "No such object."),
    errors.Ambiguous: (404, "too-many-sessions-matched", "Too many sessions matched."),
    errors.AlreadyExists: (
        400,
        "session-already-exists",
        "The session already exists but you requested not to reuse existing one.",
    ),
    errors.NotRunning: (400, "invalid-api-params", "The session is not running."),
    errors.NotEnough: (412, "quota-exceeded", "You have reached your resource limit."),
    errors.NotSupported: (400, "invalid-api-params", "Not supported."),
    errors.LaunchFailed: (500, "kernel-creation-failed", "Kernel creation has failed."),
}
_OTHER = (500, "internal-server-error", "Internal server error.")


_OF_KERNELS: dict[type[SessionError], tuple[int, str, str]] = {
    errors.SessionNotFound: (404, "kernel-not-found", "No such kernel."),
    errors.AlreadyExists: (
        400,
        "kernel-already-exists",
        "The kernel already exists but you requested not to reuse existing one.",
    ),
}
"""The errors at /kernel. Source: seed 001, managers up to 19.09."""


def problem(error: SessionError, request: web.Request) -> web.Response:
    """Return the answer for an error."""
    kinds = _KINDS | (_OF_KERNELS if is_kernel(request) else {})
    status, kind, title = next((kinds[base] for base in type(error).__mro__ if base in kinds), _OTHER)
    if isinstance(error, errors.NotEnough):
        status = TOO_MUCH.of(request)
    if isinstance(error, errors.NotSupported) and not error.field:
        status, kind, title = 501, "not-implemented", "This API is not implemented."
    data = error.data or ({error.field: error.message} if error.field else None)
    return _answer(
        status,
        kind,
        title,
        msg=str(error),
        data=data,
        **{k: v for k, v in error.to_wire().items() if k != "data"},
    )


def graphql_problem(problems: list[Any]) -> web.Response:
    """Return the answer for an invalid query at /admin/graphql. Source: clients for API versions up to v5."""
    said = "; ".join(str(one.get("message")) for one in problems)
    return _answer(400, "graphql-error", "GraphQL-generated error.", msg=said, data=problems)


def _answer(status: int, kind: str, title: str, **members: Any) -> web.Response:
    body = {"type": _PREFIX + kind, "title": title} | {key: value for key, value in members.items() if value}
    # Parts of a header or path may not be valid text, but are included nevertheless.
    said = json.dumps(body, ensure_ascii=False, default=str).encode(errors="replace")
    return web.Response(status=status, body=said, content_type="application/problem+json")


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every error into problem JSON; unexpected errors are logged, and their details hidden."""
    try:
        return await handler(request)
    except SessionError as error:
        return problem(error, request)
    except web.HTTPNotFound:
        return _answer(404, "url-not-found", "Unknown URL path.", data=request.path)
    except web.HTTPMethodNotAllowed:
        return _answer(405, "method-not-allowed", "HTTP Method Not Allowed.")
    except web.HTTPRequestEntityTooLarge:
        return problem(InvalidRequest("The request is too large."), request)
    except msgspec.MsgspecError as error:
        return problem(InvalidRequest(f"The request cannot be read: {error}."), request)
    except (HttpProcessingError, web.RequestPayloadError):
        return problem(InvalidRequest("The request's body cannot be read."), request)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("%s %s", request.method, request.path)
        return _answer(*_OTHER, msg="The manager failed; see its log.")
