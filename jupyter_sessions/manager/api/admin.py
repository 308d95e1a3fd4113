"""`/admin/keys`: the keys of this manager. Backend.AI has no such routes; only superadmins may use them."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from jupyter_sessions.amounts import format_slots, parse_slots
from jupyter_sessions.errors import InvalidRequest, NotRunning
from jupyter_sessions.manager.api.auth import STORE, superadmin
from jupyter_sessions.manager.api.bearer import AUDIENCE
from jupyter_sessions.manager.api.session import SESSIONS, answer, body_of
from jupyter_sessions.manager.core.keys import DEFAULT, ROLES, USER, Key


class KeyRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of a request for a key. `max_slots` are amounts as in a session's resources."""

    role: str = USER
    domain: str = DEFAULT
    group: str = DEFAULT
    email: str = ""
    max_sessions: int = 0
    max_slots: dict[str, Any] = {}


async def list_keys(request: web.Request) -> web.Response:
    """Answer GET /admin/keys: all keys, without their secrets."""
    superadmin(request)
    keys = request.app[STORE].keys
    return answer({"keys": [_shown(key, own=key == keys.first) for key in keys]})


async def add_key(request: web.Request) -> web.Response:
    """Answer POST /admin/keys: create a key. Only this answer holds the secret.

    Its `token` is the key's bearer token for the Skaha API, valid as long as this manager lives.
    """
    superadmin(request)
    asked = _read(await body_of(request))
    key = request.app[STORE].keys.add(
        role=asked.role,
        domain=asked.domain,
        group=asked.group,
        email=asked.email,
        max_sessions=asked.max_sessions,
        max_slots=parse_slots(asked.max_slots),
    )
    token = key.pair.bearer(request.app[AUDIENCE])
    return answer(_shown(key) | {"secret_key": key.secret_key, "token": token}, 201)


async def remove_key(request: web.Request) -> web.Response:
    """Answer DELETE /admin/keys/{key}: remove a key that has no live sessions."""
    superadmin(request)
    access_key = request.match_info["key"]
    live = [record.name for record in request.app[SESSIONS].live if record.access_key == access_key]
    if live:
        raise NotRunning(
            f"The key {access_key} has live sessions: {', '.join(live)}.", hint="End them first.", field="key"
        )
    request.app[STORE].keys.remove(access_key)
    return web.Response(status=204)


def _read(body: dict[str, Any]) -> KeyRequest:
    try:
        asked = msgspec.convert(body, KeyRequest)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The key cannot be created: {error}.", hint="Correct this field.") from None
    for field in ("domain", "group"):
        if not _is_name(getattr(asked, field)):
            hint = "Use 1 to 64 letters, digits, '.', '_' or '-'."
            raise InvalidRequest(f"The value of '{field}' cannot be a name.", hint=hint, field=field)
    if len(asked.email) > 254 or not asked.email.isprintable():
        raise InvalidRequest("The email is no address.", hint="Leave it out.", field="email")
    if asked.role not in ROLES:
        raise InvalidRequest(
            f"There is no role '{asked.role}'.", hint=f"Choose from: {', '.join(ROLES)}.", field="role"
        )
    if not 0 <= asked.max_sessions < 2**31:
        raise InvalidRequest(
            "The number of sessions ('max_sessions') must be 0 or more.",
            hint="Give 0 for no limit.",
            field="max_sessions",
        )
    return asked


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 64 and all(char.isalnum() or char in "._-" for char in text)


def _shown(key: Key, *, own: bool = False) -> dict[str, Any]:
    return {
        "access_key": key.access_key,
        "role": key.role,
        "domain": key.domain,
        "group": key.group,
        "email": key.email,
        "max_sessions": key.max_sessions,
        "max_slots": format_slots(key.max_slots),
        "created_at": key.created.isoformat(),
        "own": own,
    }
