"""Between Backend.AI's words and ours.

Source: the Backend.AI session API and monitoring API (GraphQL); answers of managers 23.09 to 26.8,
where amounts are text that holds JSON, memory is in bytes and enum names are upper-case.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from jupyter_sessions.errors import NotSupported
from jupyter_sessions.model import Amount, Container, Service, SessionInfo, SessionSpec, format_slots

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
_LOCAL = ("cwd", "environ", "limits", "survives", "exit_code", "age", "cpu_credit_used", "restarts")
_CONTAINER = "id role hostname cluster_role cluster_hostname status status_info container_id agent occupied_slots live_stat last_stat"
_UNSENT = (
    ("replicas", "several sessions in one request", 1),
    ("idle_timeout", "an idle timeout", 0),
    ("time_limit", "a time limit", 0),
)
LIST_FIELDS = (
    "id name type image tag status status_info status_changed created_at terminated_at result "
    "requested_slots occupying_slots service_ports group_name access_key"
)
INFO_FIELDS = (
    LIST_FIELDS
    + " architecture registry main_kernel_id status_data status_history scheduled_at starts_at domain_name group_id"
    + " user_id user_email startup_command cluster_mode cluster_size resource_opts mounts num_queries scaling_group"
    + f" containers {{ {_CONTAINER} }}"
)


def create_body(spec: SessionSpec, launch: object = None) -> dict[str, Any]:
    """The body of a create request, in the spelling that managers from 23.09 on understand.

    Errors: NotSupported for what cannot be asked of a manager.
    """
    for field, words, default in _UNSENT:
        if getattr(spec, field) not in (None, default):
            raise NotSupported(
                f"{field}: {spec.backend} does not take {words}.", hint="Leave it out.", field=field
            )
    config: dict[str, Any] = {
        "environ": spec.environ,
        "resources": {key: str(value) for key, value in spec.resources.items() if value is not None},
        "resource_opts": spec.resource_opts,
        "mounts": spec.mounts,
        "mount_map": spec.mount_map,
        "preopen_ports": spec.preopen_ports or None,
        "scaling_group": spec.resource_group,
    }
    if launch is not None:
        config |= {"launch": launch, "owner": spec.owner}
    body: dict[str, Any] = {
        "name": spec.name,
        "image": spec.image,
        "type": spec.type,
        "group": spec.group or "default",
        "domain": spec.domain or "default",
        "clusterSize": spec.cluster_size,
        "clusterMode": spec.cluster_mode,
        "config": {key: value for key, value in config.items() if value},
        "enqueueOnly": True,
        "reuseIfExists": spec.reuse_if_exists,
        "tag": spec.tag,
        "architecture": spec.architecture,
        "startupCommand": spec.startup_command,
        "bootstrap_script": spec.bootstrap_script,
        "starts_at": spec.starts_at,
        "dependencies": spec.dependencies or None,
        "callback_url": spec.callback_url,
        "owner_access_key": spec.owner_access_key,
        "priority": spec.priority,
        "batch_timeout": spec.batch_timeout,
    }
    return {key: value for key, value in body.items() if value is not None}


def session_of(item: dict[str, Any], backend: str) -> SessionInfo:
    """A row of `compute_session_list`, or `compute_session`, in our words."""
    local = _json(item.get("local")) or {}
    requested = _slots(item.get("requested_slots")) or _slots(item.get("occupying_slots"))
    more = {name: local[name] for name in _LOCAL if local.get(name) is not None}
    more |= {name: item[name] for name in _TEXTS if item.get(name) is not None}
    for name in ("status_data", "status_history"):
        if name in more:
            more[name] = _json(more[name]) or {}
    uid = str(item["id"])
    return SessionInfo(
        backend=backend,
        id=uid,
        name=str(item.get("name") or ""),
        image=str(item.get("image") or ""),
        type=str(item.get("type") or "interactive").lower(),
        status=str(item.get("status") or ""),
        status_info=str(item.get("status_info") or ""),
        resources=requested,
        services=_services(item, backend, uid),
        created_at=_time(item.get("created_at")),
        status_changed=_time(item.get("status_changed")),
        scheduled_at=_time(item.get("scheduled_at")),
        starts_at=_time(item.get("starts_at")),
        started_at=_time(local.get("started_at")),
        terminated_at=_time(item.get("terminated_at")),
        occupied_slots=_slots(item.get("occupying_slots")),
        resource_opts=_json(item.get("resource_opts")) or {},
        cluster_size=int(item.get("cluster_size") or 1),
        containers=[_container(part) for part in item.get("containers") or []],
        mounts=[str(mount) for mount in item.get("mounts") or []],
        num_queries=item.get("num_queries"),
        resource_group=item.get("scaling_group"),
        extra={"gpus": local["gpus"]} if local.get("gpus") else {},
        **more,
    )


def capacity_of(answer: dict[str, Any]) -> dict[str, Amount]:
    """What `check-presets` says of totals and of what is free."""
    total, free = _slots(answer.get("keypair_limits")), _slots(answer.get("scaling_group_remaining"))
    return {name: Amount(total=amount, free=free.get(name, amount)) for name, amount in total.items()}


def _container(part: dict[str, Any]) -> Container:
    return Container(
        id=str(part.get("id")),
        role=str(part.get("cluster_role") or part.get("role") or "main"),
        hostname=str(part.get("cluster_hostname") or part.get("hostname") or "main1"),
        status=str(part.get("status") or ""),
        status_info=str(part.get("status_info") or ""),
        container_id=part.get("container_id"),
        agent=part.get("agent"),
        occupied_slots=_slots(part.get("occupied_slots")),
        live_stat=_json(part.get("live_stat")),
        last_stat=_json(part.get("last_stat")),
    )


def _services(item: dict[str, Any], backend: str, id: str) -> list[Service]:
    found = _json(item.get("service_ports")) or []
    return [
        Service(
            name=str(port["name"]),
            protocol=str(port.get("protocol", "http")),
            ports=list(port.get("ports") or port.get("container_ports") or []),
            url=f"jupyter-sessions/services/{backend}/{id}/{port['name']}/",
        )
        for port in found
        if isinstance(port, dict) and port.get("name")
    ]


def _json(value: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except msgspec.DecodeError:
        return None


def _slots(value: object) -> dict[str, str]:
    amounts: dict[str, Decimal] = {}
    for name, amount in (_json(value) or {}).items():
        try:
            amounts[name] = Decimal(str(amount))
        except InvalidOperation:
            continue
    return format_slots({name: amount for name, amount in amounts.items() if amount.is_finite()})


def _time(value: object) -> datetime | None:
    return datetime.fromisoformat(str(value)) if value else None
