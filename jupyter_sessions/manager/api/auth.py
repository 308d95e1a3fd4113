"""Authenticate requests: all are signed (see `wire.signing`), except `GET /` and the Skaha API."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from aiohttp import web
from aiohttp.typedefs import Handler

from jupyter_sessions.errors import Forbidden, InvalidRequest, Unauthorized
from jupyter_sessions.manager.api import bearer
from jupyter_sessions.manager.api.problems import BadAuthParams
from jupyter_sessions.manager.core.keys import SUPERADMIN, Key
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.wire.signing import (
    DATE_HEADERS,
    DEFAULT_CONTENT_TYPE,
    VERSION_HEADERS,
    Signable,
    first_header,
    parse_authorization,
)

WHO = web.RequestKey("who", Key)
STORE = web.AppKey("store", Store)
OPEN = web.AppKey("open", frozenset[Handler])
BEARER = web.AppKey("bearer", frozenset[Handler])
SKEW = timedelta(minutes=15)
_DEFAULT_VERSIONS = ("v5.20191215", "")


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Reject requests that are not signed by a key of this manager, or on its routes carry no bearer token."""
    handler_, app = request.match_info.handler, request.app
    if handler_ not in app[OPEN]:
        verify = bearer.verify if handler_ in app[BEARER] else _verify
        try:
            request[WHO] = verify(request, app[STORE])
        except UnicodeError:
            raise BadAuthParams("The request's headers hold bytes that are not text.") from None
    return await handler(request)


def acting(request: web.Request, owner: object = None) -> Key:
    """Return the key in whose name a request acts.

    That is the request's own key, or the one named by `owner` or the query's `owner_access_key`.
    Errors: Forbidden, InvalidRequest.
    """
    wanted = owner or request.query.get("owner_access_key")
    if wanted is not None and not isinstance(wanted, str):
        raise InvalidRequest("The owner's access key must be text.", field="owner_access_key")
    return request.app[STORE].keys.acting_for(request[WHO], wanted)


def superadmin(request: web.Request) -> Key:
    """Return the key of a request. Errors: Forbidden unless it is a superadmin's."""
    who = request[WHO]
    if who.role != SUPERADMIN:
        raise Forbidden("Only superadmins may do this.", hint="Use a superadmin's key.")
    return who


def _verify(request: web.Request, store: Store) -> Key:
    header = request.headers.get("Authorization")
    if not header:
        raise Unauthorized("Unauthorized access", hint="Sign the request.")
    header.encode()  # Raises UnicodeError for bytes that are not text.
    try:
        claim = parse_authorization(header)
    except ValueError as error:
        raise BadAuthParams(str(error)) from None
    date_text, day = _date(request)
    key = store.keys.get(claim.access_key)
    if key is None:
        raise Unauthorized("Access key not found")
    version_header, version = first_header(request.headers, VERSION_HEADERS)
    for candidate in (version,) if version else _DEFAULT_VERSIONS:
        signable = Signable(
            method=request.method,
            target=request.raw_path,
            host=request.headers.get("Host", ""),
            date=date_text,
            day=day,
            content_type=request.headers.get("Content-Type", DEFAULT_CONTENT_TYPE),
            version=candidate,
            version_header=version_header,
        )
        expected = signable.signature(key.secret_key, claim.algorithm)
        if hmac.compare_digest(expected.encode(), claim.signature.encode()):
            return key
    raise Unauthorized("Signature mismatch")


def _date(request: web.Request) -> tuple[str, str]:
    _, text = first_header(request.headers, DATE_HEADERS)
    try:
        moment = _parse_date(text)
    except (ValueError, TypeError, OverflowError):
        raise BadAuthParams("The date of the request is missing or cannot be read.") from None
    if abs(datetime.now(UTC) - moment) >= SKEW:
        raise BadAuthParams("Date/time sync error")
    return text, moment.strftime("%Y%m%d")


def _parse_date(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
