"""Authenticate requests by bearer tokens of keys (see `Keypair.bearer`), as in the Skaha API."""

from __future__ import annotations

import hmac

from aiohttp import web

from jupyter_sessions.errors import Unauthorized
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.core.store import Store

AUDIENCE = web.AppKey("audience", str)
"""The audience that tokens must be for; see `Contact.audience`."""

_NOBODY = "nobody.0"


def verify(request: web.Request, store: Store) -> Key:
    """Return the key whose token a request carries. Errors: Unauthorized."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized(
            "This needs a bearer token.", hint="`jupyter session env` prints it, as CANFAR_TOKEN."
        )
    key = store.keys.get(token.partition(".")[0])
    expected = key.pair.bearer(request.app[AUDIENCE]) if key else _NOBODY
    if not same(token, expected) or key is None:
        raise Unauthorized(
            "This token is not valid here.",
            hint='It may be from an earlier manager: run `eval "$(jupyter session env)"` again.',
        )
    return key


def same(given: str, expected: str) -> bool:
    """Return whether two secrets are equal, in constant time."""
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())
