"""Between Backend.AI's words and ours.

Source: the Backend.AI session API and monitoring API (GraphQL); answers of managers 23.09 to 26.8,
where amounts are text that holds JSON, memory is in bytes and enum names are upper-case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from jupyter_sessions.amounts import format_slots
from jupyter_sessions.backends.backendai.reading import (
    integer_of,
    list_of,
    mapping_of,
    mapping_or_none,
    objects_of,
    slots_of,
    text_of,
    time_of,
    value_of,
)
from jupyter_sessions.backends.backendai.versions import Dialect
from jupyter_sessions.backends.session_request import SessionRequest
from jupyter_sessions.model import RESERVED_FIELDS, TYPES, Container, Event, Service, SessionInfo
from jupyter_sessions.wire.secret_variables import MARKER, looks_secret

_TEXTS = (
    "status_data",
    "status_history",
    "result",
    "architecture",
    "registry",
    "main_kernel_id",
    "tag",
    "startup_command",
    "cluster_mode",
    "domain_name",
    "group_name",
    "group_id",
    "user_id",
    "user_email",
    "access_key",
)
_LOCAL = (
    "cwd",
    "environ",
    "secrets",
    "limits",
    "survives",
    "exit_code",
    "age",
    "cpu_credit_used",
    "restarts",
    "ends_why",
    "owned",
)
_CONTAINER = "id role hostname cluster_role cluster_hostname status status_info container_id agent occupied_slots live_stat last_stat"
_LISTED = (
    "id main_kernel_id name type image tag status status_info status_changed created_at terminated_at result "
    "requested_slots occupying_slots service_ports group_name access_key cluster_mode cluster_size "
    "startup_command mounts"
)
_CONTAINERS = f"containers {{ {_CONTAINER} }}"
_SAME = (
    "architecture registry status_data status_history scheduled_at starts_at domain_name group_id"
    " user_id user_email resource_opts num_queries idle_checks agents"
).split()
_DETAILS = {
    **{name: name for name in (*_SAME, *RESERVED_FIELDS)},
    "resource_group": "scaling_group",
    "dependencies": "dependencies { id }",
    **dict.fromkeys(("containers", "live_stat", "last_stat"), _CONTAINERS),
}
"""The GraphQL of fields that lists leave out, by our names."""
STATE_FIELDS = "id name status status_info status_changed"
_TOLD = (
    _LISTED
    + " architecture registry status_data status_history scheduled_at starts_at domain_name group_id"
    + " user_id user_email resource_opts num_queries scaling_group idle_checks agents"
    + f" dependencies {{ id }} containers {{ {_CONTAINER} }}"
)
_KNOWN = frozenset(re.findall(r"\w+", _TOLD)) | {"local", "occupied_slots"}


def is_listed(field: str) -> bool:
    """Return whether lists have a field without being asked for it."""
    return field not in _DETAILS


def list_fields(dialect: Dialect, wanted: Iterable[str] = ()) -> str:
    """Return the GraphQL fields of a list, with the `wanted` fields beyond those of any list."""
    more = dict.fromkeys(_DETAILS[name] for name in wanted if name in _DETAILS)
    return _those_known(" ".join([_LISTED, *more]), dialect)


def info_fields(dialect: Dialect) -> str:
    """Return the GraphQL fields of a single session."""
    return _those_known(_TOLD + " priority", dialect)


def _those_known(fields: str, dialect: Dialect) -> str:
    """Return those of the fields that the manager has; what they are called in its version."""
    unknown = dialect.unknown_fields
    held = " occupied_slots" if "occupying_slots" in unknown else ""
    return " ".join(name for name in fields.split() if name not in unknown) + held


def create_body(request: SessionRequest, dialect: Dialect) -> dict[str, Any]:
    """Return the body of a create request, in the manager's spelling."""
    config = _config(request)
    members = {"clusterSize": request.cluster_size, "clusterMode": request.cluster_mode}
    if not dialect.modes:
        config["clusterSize"] = members.pop("clusterSize")
        del members["clusterMode"]
    if dialect.ours:
        config["secrets"] = request.secrets
    elif unlike := [name for name in request.secrets if not looks_secret(name)]:
        config["environ"] = request.environ | {MARKER: ",".join(unlike)}
    body: dict[str, Any] = {
        dialect.name: request.name,
        "image": request.image,
        "type": request.type or TYPES[0],
        "group": request.group or "default",
        "domain": request.domain or "default",
        **members,
        "config": {key: value for key, value in config.items() if value},
        "enqueueOnly": True,
        "reuseIfExists": request.reuse_if_exists,
        "tag": request.tag,
        "architecture": request.architecture,
        "startupCommand": request.startup_command,
        "bootstrap_script": request.bootstrap_script,
        "starts_at": request.starts_at.isoformat() if request.starts_at else None,
        "dependencies": request.dependencies or None,
        "callback_url": request.callback_url,
        "owner_access_key": request.owner_access_key,
        "priority": request.priority,
        "batch_timeout": request.batch_timeout,
    }
    return {key: value for key, value in body.items() if value is not None}


def _config(request: SessionRequest) -> dict[str, Any]:
    config: dict[str, Any] = {
        "environ": request.environ,
        "resources": format_slots(request.resources),
        "resource_opts": request.resource_opts,
        "mounts": request.mounts,
        "mount_map": request.mount_map,
        "preopen_ports": request.preopen_ports or None,
        "services": request.services or None,
        "scaling_group": request.resource_group,
    }
    if request.launch is not None:
        config |= {"launch": request.launch, "owner": request.owner, "notebook_path": request.notebook_path}
        config["notify"] = request.notify
        config |= {"idle_timeout": str(request.idle_timeout or 0), "time_limit": str(request.time_limit or 0)}
    return config


def session_of(item: Any, backend: str) -> SessionInfo:
    """Return a `compute_session`, or an item of `compute_session_list`, as a row."""
    local = mapping_of(item.get("local"))
    held = slots_of(item.get("occupying_slots") or item.get("occupied_slots"))
    requested = slots_of(item.get("requested_slots")) or held
    more = {name: local[name] for name in _LOCAL if local.get(name) is not None}
    more |= {name: text for name in _TEXTS if (text := text_of(item.get(name)))}
    if "result" in more:
        more["result"] = more["result"].upper()
    if "status_data" in more:
        more["status_data"] = mapping_of(item["status_data"])
    if "status_history" in more:
        history = mapping_of(item["status_history"])
        more["status_history"] = {status: str(when) for status, when in history.items()}
    containers = [_container(part) for part in objects_of(item.get("containers"))]
    main = next(iter(containers), None)
    return SessionInfo(
        backend=backend,
        id=str(item["id"]),
        name=str(item.get("name") or ""),
        image=str(item.get("image") or ""),
        type=str(item.get("type") or "interactive").lower(),
        status=str(item.get("status") or "").upper(),
        status_info=text_of(item.get("status_info")),
        resources=requested,
        services=_services(item),
        created_at=time_of(item.get("created_at")),
        status_changed=time_of(item.get("status_changed")),
        scheduled_at=time_of(item.get("scheduled_at")),
        starts_at=time_of(item.get("starts_at")),
        started_at=time_of(local.get("started_at")),
        terminated_at=time_of(item.get("terminated_at")),
        occupied_slots=held,
        resource_opts=mapping_of(item.get("resource_opts")),
        cluster_size=integer_of(item.get("cluster_size")) or 1,
        containers=containers,
        live_stat=main.live_stat if main else None,
        last_stat=main.last_stat if main else None,
        mounts=[str(mount) for mount in list_of(item.get("mounts"))],
        num_queries=integer_of(item.get("num_queries")),
        resource_group=text_of(item.get("scaling_group")) or None,
        ends_at=time_of(local.get("ends_at")),
        idle_checks=mapping_of(item.get("idle_checks")) or None,
        agents=[str(agent) for agent in list_of(item.get("agents"))],
        dependencies=[str(one["id"]) for one in objects_of(item.get("dependencies"))],
        extra=_extra(item) | ({"gpus": local["gpus"]} if local.get("gpus") else {}),
        **more,
    )


def events_of(row: SessionInfo) -> list[Event]:
    """Return when a session came to each status, and why it has its status of now.

    Managers of v5 and before keep no history (seed 002): there the creation and the latest change are known.
    """
    times = {status: time_of(when) for status, when in row.status_history.items()}
    times = times or {"PENDING": row.created_at, row.status: row.status_changed or row.created_at}
    known = sorted((when, status) for status, when in times.items() if when)
    now = {row.status: f"{row.status}: {row.status_info}"} if row.status_info else {}
    return [Event(now.get(status, status), when) for when, status in known]


def session_made(request: SessionRequest, answer: dict[str, Any], backend: str) -> SessionInfo:
    """Return the row of a new session of which only the answer to the create request is known."""
    return SessionInfo(
        backend=backend,
        id=str(answer.get("sessionId") or answer["sessId"]),
        name=str(answer.get("sessionName") or request.name),
        image=request.image or "",
        type=request.type or TYPES[0],
        status=str(answer.get("status") or "PENDING").replace("TIMEOUT", "PENDING"),
        status_info="",
        resources=format_slots(request.resources),
        services=[],
        created_at=datetime.now(UTC),
    )


def _extra(item: dict[str, Any]) -> dict[str, Any]:
    """Return the values that have no field of ours, unchanged."""
    found = {name: value_of(value) for name, value in item.items() if name not in _KNOWN}
    return {name: value for name, value in found.items() if value not in (None, [], {})}


def _container(part: dict[str, Any]) -> Container:
    return Container(
        id=str(part.get("id")),
        role=str(part.get("cluster_role") or part.get("role") or "main"),
        hostname=str(part.get("cluster_hostname") or part.get("hostname") or "main1"),
        status=str(part.get("status") or ""),
        status_info=text_of(part.get("status_info")),
        container_id=text_of(part.get("container_id")) or None,
        agent=text_of(part.get("agent")) or None,
        occupied_slots=slots_of(part.get("occupied_slots")),
        live_stat=mapping_or_none(part.get("live_stat")),
        last_stat=mapping_or_none(part.get("last_stat")),
    )


def _services(item: dict[str, Any]) -> list[Service]:
    """Return the services; this package's manager tells more about them than Backend.AI's."""
    return [
        service_of(port)
        for port in list_of(item.get("service_ports"))
        if isinstance(port, dict) and port.get("name")
    ]


def service_of(port: dict[str, Any]) -> Service:
    """Return a service port as a service. Source: `servicePorts`, managers 23.09 to 26.8."""
    allowed = port.get("allowed_arguments")
    return Service(
        name=str(port["name"]),
        title=text_of(port.get("title")),
        protocol=str(port.get("protocol", "http")),
        ports=list(port.get("ports") or port.get("container_ports") or []),
        path=text_of(port.get("path")),
        state=text_of(port.get("state")),
        since=_since(port.get("since")),
        ended=text_of(port.get("ended")),
        arguments=mapping_of(port.get("arguments")) or None,
        allowed_arguments=[str(name) for name in allowed] if allowed else None,
        new_tab=port.get("new_tab") is not False,
    )


def _since(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
