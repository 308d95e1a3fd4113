"""Who asks: every request is signed (see `wire.signing`), but for `GET /`."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from aiohttp import web

from jupyter_sessions.errors import Unauthorized
from jupyter_sessions.manager.api.problems import BadAuthParams, Handler
from jupyter_sessions.manager.store import Store
from jupyter_sessions.wire.signing import (
    DATE_HEADERS,
    DEFAULT_CONTENT_TYPE,
    VERSION_HEADERS,
    Signable,
    first_header,
    parse_authorization,
)

ACCESS_KEY = web.RequestKey("access_key", str)
STORE = web.AppKey("store", Store)
SKEW = timedelta(minutes=15)
_DEFAULT_VERSIONS = ("v5.20191215", "")
_OPEN = frozenset({"/"})


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what is not signed by a key of this manager."""
    if request.path not in _OPEN:
        try:
            request[ACCESS_KEY] = _verify(request, request.app[STORE])
        except UnicodeError:
            raise BadAuthParams("The request's headers hold bytes that are no text.") from None
    return await handler(request)


def _verify(request: web.Request, store: Store) -> str:
    header = request.headers.get("Authorization")
    if not header:
        raise Unauthorized("Unauthorized access", hint="Sign the request.")
    try:
        claim = parse_authorization(header)
    except ValueError as error:
        raise BadAuthParams(str(error)) from None
    date_text, day = _date(request)
    secret = store.secret_of(claim.access_key)
    if secret is None:
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
        expected = signable.signature(secret, claim.algorithm)
        if hmac.compare_digest(expected.encode(), claim.signature.encode()):
            return claim.access_key
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
