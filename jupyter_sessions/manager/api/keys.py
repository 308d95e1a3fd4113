"""Keys, users, domains and groups, for GraphQL. Source: managers 23.09 to 26.8.

Each query gets the sessions, the key of the request, and its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_sessions.errors import Forbidden
from jupyter_sessions.manager.api.context import GraphQLItem, in_pages
from jupyter_sessions.manager.core.keys import ADMIN, DEFAULT, SUPERADMIN, Key, id_of
from jupyter_sessions.manager.sessions import SessionManager


def _visible_keys(sessions: SessionManager, who: Key, domain: str | None = None) -> list[Key]:
    """Return the keys that a key may see."""
    if who.role != SUPERADMIN and domain not in (None, who.domain):
        raise Forbidden("Forbidden operation.", hint="Use an administrator's key.")
    keys = [key for key in sessions.store.keys if domain in (None, key.domain)]
    if who.role == SUPERADMIN:
        return keys
    return [key for key in keys if key.access_key == who.access_key or _administers(who, key)]


def _administers(who: Key, key: Key) -> bool:
    return who.role == ADMIN and key.domain == who.domain and key.role != SUPERADMIN


def _key(sessions: SessionManager, key: Key) -> GraphQLItem:
    running = sum(record.access_key == key.access_key and record.holds_slots for record in sessions.live)
    return {
        "id": key.access_key,
        "user_id": key.email,
        "user": key.user_id,
        "access_key": key.access_key,
        "is_active": True,
        "is_admin": key.is_admin,
        "domain_name": key.domain,
        "resource_policy": DEFAULT,
        "created_at": key.created.isoformat(),
        "rate_limit": 0,
        "concurrency_used": running,
        "concurrency_limit": key.max_sessions,
        "projects": [key.group],
        "user_info": {"email": key.email, "full_name": None},
    }


def _keypair(
    sessions: SessionManager, who: Key, *, access_key: str | None = None, domain_name: str | None = None
) -> GraphQLItem | None:
    wanted = access_key or who.access_key
    keys = _visible_keys(sessions, who, domain_name)
    return next((_key(sessions, key) for key in keys if key.access_key == wanted), None)


def _keypairs(
    sessions: SessionManager,
    who: Key,
    *,
    domain_name: str | None = None,
    email: str | None = None,
    is_active: bool | None = None,
) -> list[GraphQLItem]:
    keys = _visible_keys(sessions, who, domain_name)
    return [_key(sessions, key) for key in keys if email in (None, key.email) and is_active is not False]


def _user(
    sessions: SessionManager, who: Key, *, email: str | None = None, domain_name: str | None = None
) -> GraphQLItem | None:
    keys = _visible_keys(sessions, who, domain_name)
    return next((_user_of(key) for key in keys if key.email == (email or who.email)), None)


def _users(
    sessions: SessionManager,
    who: Key,
    *,
    domain_name: str | None = None,
    group_id: str | None = None,
    status: str | None = None,
    is_active: bool | None = None,
) -> list[GraphQLItem]:
    keys = _visible_keys(sessions, who, domain_name)
    wanted = is_active is not False and status in (None, "", "active")
    return [_user_of(key) for key in keys if wanted and group_id in (None, id_of(key.domain, key.group))]


def _user_of(key: Key) -> GraphQLItem:
    return {
        "id": key.user_id,
        "uuid": key.user_id,
        "username": key.email,
        "email": key.email,
        "is_active": True,
        "status": "active",
        "domain_name": key.domain,
        "role": key.role,
        "main_access_key": key.access_key,
        "need_password_change": False,
        "created_at": key.created.isoformat(),
        "totp_activated": False,
        "sudo_session_enabled": False,
        "groups": [{"id": id_of(key.domain, key.group), "name": key.group}],
    }


def _domains(sessions: SessionManager, who: Key, **_: Any) -> list[GraphQLItem]:
    return [
        {
            "name": name,
            "description": "",
            "is_active": True,
            "scaling_groups": [DEFAULT],
            "total_resource_slots": "{}",
            "allowed_vfolder_hosts": "{}",
            "allowed_docker_registries": ["local"],
        }
        for name in sessions.store.keys.domains(who)
    ]


def _domain(sessions: SessionManager, who: Key, *, name: str | None = None) -> GraphQLItem | None:
    wanted = name or who.domain
    return next((domain for domain in _domains(sessions, who) if domain["name"] == wanted), None)


def _groups(
    sessions: SessionManager, who: Key, *, domain_name: str | None = None, **_: Any
) -> list[GraphQLItem]:
    keys = sessions.store.keys
    return [
        {
            "id": id_of(domain, name),
            "name": name,
            "description": "",
            "is_active": True,
            "domain_name": domain,
            "type": "GENERAL",
            "total_resource_slots": "{}",
            "allowed_vfolder_hosts": "{}",
            "scaling_groups": [DEFAULT],
        }
        for domain in keys.domains(who)
        if domain_name in (None, domain)
        for name in keys.groups(who, domain)
    ]


def _group(sessions: SessionManager, who: Key, *, id: str, **args: Any) -> GraphQLItem | None:
    return next((group for group in _groups(sessions, who, **args) if group["id"] == id), None)


def _groups_by_name(sessions: SessionManager, who: Key, *, name: str, **args: Any) -> list[GraphQLItem]:
    return [group for group in _groups(sessions, who, **args) if group["name"] == name]


QUERIES: dict[str, Callable[..., Any]] = {
    "keypair": _keypair,
    "keypairs": _keypairs,
    "keypair_list": in_pages(_keypairs),
    "user": _user,
    "user_list": in_pages(_users),
    "domain": _domain,
    "domains": _domains,
    "group": _group,
    "groups": _groups,
    "groups_by_name": _groups_by_name,
}
