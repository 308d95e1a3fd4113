"""The queries of GraphQL, and how much each key may read. Source: managers 23.09 to 26.8."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_sessions.errors import Forbidden, InvalidRequest
from jupyter_sessions.manager.api import keys, machine
from jupyter_sessions.manager.api.context import PAGE, QueryContext
from jupyter_sessions.manager.api.fields import containers
from jupyter_sessions.manager.core.keys import SUPERADMIN, USER, Key
from jupyter_sessions.manager.core.minilang import Clause, equals, one_of, parse_filter, parse_order
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.session_index import visible_to
from jupyter_sessions.model import STATUSES, is_live

_LATEST = "changed DESC, id"


def _session_list(
    context: QueryContext,
    *,
    limit: int = PAGE,
    offset: int = 0,
    filter: str | None = None,
    order: str | None = None,
    order_key: str | None = None,
    order_asc: bool | None = None,
    **scope: Any,
) -> dict[str, Any]:
    if not 0 <= limit <= PAGE or not 0 <= offset < 2**31:
        raise InvalidRequest(f"limit must be between 0 and {PAGE}, and offset not negative.")
    where = _scope(context.who, **scope)
    if filter:
        where &= parse_filter(filter)
    if not order and order_key:
        order = f"{'-' if order_asc is False else '+'}{order_key}"
    how = parse_order(order) if order else _LATEST
    records, count = context.sessions.page(where, order=how, limit=limit, offset=offset)
    context.spend(len(records))
    return {"items": records, "total_count": count}


def _scope(
    who: Key,
    *,
    status: str | None = None,
    access_key: str | None = None,
    domain_name: str | None = None,
    group_id: str | None = None,
) -> Clause:
    """Return the condition for sessions in a list. Errors: Forbidden for sessions that the key may not request."""
    if who.role == USER and access_key not in (None, who.access_key):
        raise Forbidden("Forbidden operation.")
    if who.role != SUPERADMIN and domain_name not in (None, who.domain):
        raise Forbidden("Forbidden operation.")
    where = visible_to(who)
    if access_key is not None:
        where &= equals("access_key", access_key)
    if domain_name is not None:
        where &= equals("domain_name", domain_name)
    if group_id is not None:
        where &= equals("group_id", group_id)
    if status:  # A newer client may know more statuses than this manager.
        names = dict.fromkeys(part.strip().upper() for part in status.split(","))
        where &= one_of("status", [name for name in names if name in STATUSES])
    return where


def _sessions(context: QueryContext, **args: Any) -> list[Record]:
    given = {name: value for name, value in args.items() if value is not None}
    return list(_session_list(context, **given)["items"])


def _session(context: QueryContext, *, id: str, **_: Any) -> Record | None:
    record = context.sessions.measured(id)
    return record if record and context.who.sees(record) else None


def _container(context: QueryContext, *, id: str) -> Record | dict[str, Any] | None:
    """Return a member of a session; the main member has the session's id."""
    if record := _session(context, id=id):
        return record
    clusters = visible_to(context.who) & Clause("cluster_size > 1")
    context.spend(context.sessions.store.count(clusters))  # Their records are read.
    where = clusters & Clause("instr(record, ?) > 0", (id.encode(),))
    holders, _ = context.sessions.page(where, order=_LATEST, limit=10)
    members = [member for record in holders for member in containers(record, context)]
    return next((member for member in members if isinstance(member, dict) and member["id"] == id), None)


def _container_list(
    context: QueryContext, *, limit: int, offset: int, session_id: str, role: str | None = None, **_: Any
) -> dict[str, Any]:
    if limit < 0 or offset < 0:
        raise InvalidRequest("limit and offset must not be negative.")
    found = _containers(context, session_id=session_id, role=role)
    return {"items": found[offset : offset + limit], "total_count": len(found)}


def _containers(
    context: QueryContext, *, session_id: str, role: str | None = None
) -> list[Record | dict[str, Any]]:
    record = _session(context, id=session_id)
    members = containers(record, context) if record else []
    return [member for member in members if role in (None, "", *_roles(member))]


def _roles(member: Record | dict[str, Any]) -> tuple[str, str]:
    return ("main", "master") if isinstance(member, Record) else (str(member["role"]), "slave")


def _named(context: QueryContext, *, sess_id: str, access_key: str | None = None, **_: Any) -> Record | None:
    where = _scope(context.who, access_key=access_key) & equals("name", sess_id)
    staying = one_of("status", [name for name in STATUSES if is_live(name) and name != "TERMINATING"])
    if found := context.sessions.page(where & staying, order=_LATEST, limit=1)[0]:
        return found[0]
    return next(iter(context.sessions.page(where, order=_LATEST, limit=1)[0]), None)


def _of(other: Callable[..., Any]) -> Callable[..., Any]:
    return lambda context, **args: other(context.sessions, context.who, **args)


_OWN: dict[str, Callable[..., Any]] = {
    "compute_session": _session,
    "compute_sesssion": _session,
    "compute_session_list": _session_list,
    "compute_sessions": _sessions,
    "compute_container": _container,
    "compute_container_list": _container_list,
    "compute_containers": _containers,
    "legacy_compute_session": _named,
    "legacy_compute_session_list": _session_list,
}
_OTHERS = keys.QUERIES | machine.QUERIES
QUERIES = _OWN | {name: _of(other) for name, other in _OTHERS.items()}
