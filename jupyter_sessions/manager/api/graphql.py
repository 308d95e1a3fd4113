"""`POST /admin/gql`: the list of sessions and more. Source: seed 002, managers 23.09 to 26.8."""

from __future__ import annotations

import platform
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from graphql import GraphQLError, GraphQLResolveInfo, GraphQLSchema, build_schema, graphql_sync

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.api.auth import ACCESS_KEY
from jupyter_sessions.manager.api.session import SESSIONS, answer, body_of, container_id, service_ports
from jupyter_sessions.manager.record import Record
from jupyter_sessions.manager.sessions import Sessions
from jupyter_sessions.manager.survival import survives
from jupyter_sessions.model import STATUSES
from jupyter_sessions.wire.environment import Specs

PAGE = 1000


class Context(msgspec.Struct, frozen=True):
    """What resolvers need to know of a request."""

    sessions: Sessions
    access_key: str


async def graphql(request: web.Request) -> web.Response:
    """Answer a query with ``{"data", "errors"?}``, always with status 200."""
    body = await body_of(request)
    variables = body.get("variables") or {}
    if not isinstance(variables, dict):
        raise InvalidRequest("variables: this must be an object.", field="variables")
    context = Context(request.app[SESSIONS], request[ACCESS_KEY])
    name = body.get("operation_name") or body.get("operationName")
    try:
        result = graphql_sync(
            schema(),
            str(body.get("query", "")),
            root_value=None,
            context_value=context,
            variable_values=variables,
            operation_name=None if name is None else str(name),
            field_resolver=_resolve,
        )
    except RecursionError:
        raise InvalidRequest("query: this is nested too deeply.", field="query") from None
    return answer(result.formatted)


@cache
def schema() -> GraphQLSchema:
    """The schema of the file beside this one."""
    return build_schema(Path(__file__).with_name("schema.graphql").read_text())


def _resolve(source: Any, info: GraphQLResolveInfo[Any], **args: Any) -> Any:
    if isinstance(source, Record):
        return _FIELDS[info.parent_type.name][info.field_name](source)
    if source is None:
        return _QUERIES[info.field_name](info.context, **args)
    return source.get(info.field_name) if isinstance(source, dict) else getattr(source, info.field_name, None)


def _session_list(
    context: Context,
    *,
    limit: int,
    offset: int,
    status: str | None = None,
    access_key: str | None = None,
    filter: str | None = None,
    order: str | None = None,
    **scope: Any,
) -> dict[str, Any]:
    if filter or order:
        raise GraphQLError("filter and order are not understood by this manager.")
    if not 0 <= limit <= PAGE or offset < 0:
        raise GraphQLError(f"limit must be between 0 and {PAGE}, and offset not negative.")
    statuses = None
    if status:
        # A newer client may know more statuses than this manager.
        statuses = [name for name in (part.strip().upper() for part in status.split(",")) if name in STATUSES]
    records, count = context.sessions.store.page(statuses, limit, offset, access_key)
    return {"items": records, "total_count": count}


def _session(context: Context, *, id: str) -> Record | None:
    return context.sessions.measured(id)


def _keypair(context: Context) -> dict[str, Any]:
    key = context.access_key
    return {"user_id": key, "access_key": key, "is_active": True, "is_admin": True}


def _images(context: Context, **_: Any) -> list[dict[str, Any]]:
    return [
        {
            "name": image.name,
            "humanized_name": image.title,
            "tag": "",
            "registry": "local",
            "aliases": image.aliases,
        }
        for image in Specs.here().images()
    ]


_QUERIES: dict[str, Callable[..., Any]] = {
    "keypair": _keypair,
    "compute_session": _session,
    "compute_session_list": _session_list,
    "images": _images,
}


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _slots(record: Record) -> str:
    return _json({name: str(amount) for name, amount in record.slots.items()})


def _held(record: Record) -> str:
    return _slots(record) if record.holds_slots else "{}"


def _local(record: Record) -> str:
    return _json(
        {
            "cwd": record.launch.cwd,
            "environ": record.environ,
            "limits": record.limits,
            "survives": survives(),
            "exit_code": record.exit_code,
            "age": record.age_ms(),
            "cpu_credit_used": record.cpu_ms_before,
            "started_at": record.started,
            "gpus": record.gpus,
            "restarts": record.restarts,
        }
    )


def _same(name: str) -> Callable[[Record], Any]:
    return lambda record: getattr(record, name)


def _const(value: object) -> Callable[[Record], Any]:
    return lambda record: value


def _time(name: str) -> Callable[[Record], str | None]:
    return lambda record: moment.isoformat() if (moment := getattr(record, name)) else None


_SHARED: dict[str, Callable[[Record], Any]] = {
    "id": _same("id"),
    "session_id": _same("id"),
    "image": _same("image"),
    "architecture": _const(platform.machine()),
    "registry": _const("local"),
    "status": _same("status"),
    "status_changed": _time("changed"),
    "status_info": lambda record: record.status_info or None,
    "created_at": _time("created"),
    "terminated_at": _time("ended"),
    "resource_opts": lambda record: _json(record.resource_opts),
    "occupied_slots": _held,
}
_FIELDS: dict[str, dict[str, Callable[[Record], Any]]] = {
    "ComputeSession": _SHARED
    | {
        "main_kernel_id": _same("id"),
        "tag": _same("tag"),
        "name": _same("name"),
        "type": lambda record: record.type.upper(),
        "cluster_mode": _const("single-node"),
        "cluster_size": _const(1),
        "domain_name": _same("domain"),
        "group_name": _same("group"),
        "group_id": _const(None),
        "user_email": _const(None),
        "user_id": _const(None),
        "access_key": _same("access_key"),
        "status_data": lambda record: _json(record.status_data) if record.status_data else None,
        "status_history": lambda record: _json(record.history),
        "starts_at": _const(None),
        "scheduled_at": lambda record: (at := record.history.get("PREPARING")) and at.isoformat(),
        "startup_command": _const(None),
        "result": _const("UNDEFINED"),
        "scaling_group": _const("default"),
        "service_ports": lambda record: _json(service_ports(record)),
        "mounts": _const([]),
        "occupying_slots": _held,
        "requested_slots": _slots,
        "num_queries": _same("num_queries"),
        "containers": lambda record: [record],
        "local": _local,
    },
    "ComputeContainer": _SHARED
    | {
        "role": _const("main"),
        "hostname": _const("main1"),
        "cluster_role": _const("main"),
        "cluster_idx": _const(1),
        "cluster_hostname": _const("main1"),
        "agent": _const(platform.node()),
        "container_id": container_id,
        "live_stat": _const(None),
        "last_stat": lambda record: _json(record.last_stat) if record.last_stat else None,
    },
}
