"""The fields of sessions and containers in GraphQL. Source: seed 002, managers 23.09 to 26.8."""

from __future__ import annotations

import platform
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from jupyter_sessions.amounts import parse_size
from jupyter_sessions.manager.api.context import QueryContext
from jupyter_sessions.manager.api.session import container_id, service_ports
from jupyter_sessions.manager.api.status import main_status, status_data
from jupyter_sessions.manager.api.survival import survives
from jupyter_sessions.manager.core.cluster import MemberRecord
from jupyter_sessions.manager.core.columns import scheduled
from jupyter_sessions.manager.core.expiry import ended_by
from jupyter_sessions.manager.core.keys import SUPERADMIN, Key, id_of
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.sessions import SessionManager

Resolver = Callable[[Record, QueryContext], Any]
_ROLES = {"main": "master", "sub": "slave"}


def text(value: object) -> str:
    """Return a value as JSON text."""
    return msgspec.json.encode(value).decode()


def slots_text(slots: dict[str, Decimal]) -> str:
    """Return amounts by slot as JSON text, with memory in bytes."""
    return text({name: str(amount) for name, amount in slots.items()})


def spelled(field: str, value: Any) -> Any:
    """Return a value in the spelling of seed 002."""
    if field in ("type", "result") and isinstance(value, str):
        return value.lower()
    return _ROLES.get(value, value) if field == "role" else value


def _local(record: Record, context: QueryContext) -> str:
    ending = context.sessions.time.ending(record)
    return text(
        {
            "ends_at": ending.at if ending else None,
            "ends_why": ending.why if ending else ended_by(record),
            "cwd": record.launch.cwd,
            "environ": record.environ,
            "secrets": record.secrets,
            "limits": record.limits,
            "survives": survives(),
            "exit_code": record.exit_code,
            "age": record.age_ms(),
            "cpu_credit_used": record.cpu_ms,
            "started_at": record.started,
            "gpus": record.gpus,
            "restarts": record.restarts,
            "owned": record.owner is not None,
        }
    )


def _live_stat(record: Record, context: QueryContext) -> str | None:
    return text(stat) if (stat := context.sessions.live_stat(record)) else None


def _member_live_stat(record: Record, context: QueryContext, rank: int = 0) -> str | None:
    return text(stat) if (stat := context.sessions.live_stat(record, rank)) else None


def _idle_checks(record: Record, context: QueryContext) -> str:
    return text(context.sessions.time.checks(record))


def _same(name: str) -> Resolver:
    return lambda record, context: getattr(record, name)


def _const(value: object) -> Resolver:
    return lambda record, context: value


def _json(name: str, default: str | None = None) -> Resolver:
    def field(record: Record, context: QueryContext) -> str | None:
        value = getattr(record, name)
        return text(value) if value else default

    return field


def _time(name: str) -> Resolver:
    return lambda record, context: _iso(getattr(record, name))


def _iso(moment: datetime | str | None) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment


def _requested(record: Record, context: QueryContext) -> str:
    return slots_text(record.slots)


def _held(record: Record, context: QueryContext) -> str:
    return slots_text(record.slots) if record.holds_slots else "{}"


def _agents(record: Record, context: QueryContext) -> list[str]:
    return [platform.node()] if scheduled(record) else []


def _for_superadmins(value: Callable[[], str]) -> Resolver:
    return lambda record, context: value() if context.who.role == SUPERADMIN else None


def _dependencies(record: Record, context: QueryContext) -> list[Record]:
    context.spend(len(record.dependencies))
    return dependencies(record, context.sessions, context.who)


def dependencies(record: Record, sessions: SessionManager, who: Key) -> list[Record]:
    """Return the sessions that a session waits for, or has waited for, as far as `who` may see them."""
    found = [sessions.known(one) for one in record.dependencies]
    return [other for other in found if other and who.sees(other)]


def containers(record: Record, context: QueryContext) -> list[Record | dict[str, Any]]:
    """Return the members of a session; the main member is the session's own record."""
    return [record, *(_sub(record, sub, context) for sub in record.subs)]


def _sub(record: Record, sub: MemberRecord, context: QueryContext) -> dict[str, Any]:
    """Return a member other than the main one, by its differences."""
    main = {name: field(record, context) for name, field in FIELDS["ComputeContainer"].items()}
    name = f"{sub.role}{sub.idx}"
    differs = {
        "id": sub.id,
        "idx": sub.idx,
        "role": sub.role,
        "hostname": name,
        "cluster_role": sub.role,
        "cluster_idx": sub.idx,
        "cluster_hostname": name,
        "local_rank": sub.rank,
        "status": sub.status,
        "status_info": sub.status_info or None,
        "status_changed": _iso(sub.changed),
        "terminated_at": _iso(sub.ended),
        "container_id": str(sub.process.child.pid) if sub.process and not sub.ended else None,
        "live_stat": None if sub.ended else _member_live_stat(record, context, sub.rank),
        "last_stat": text(sub.last_stat) if sub.last_stat else None,
    }
    return main | differs | ({"occupied_slots": "{}"} if sub.ended else {})


def _member_slots(record: Record, context: QueryContext) -> str:
    return slots_text(record.member_slots) if record.holds_slots else "{}"


def _mounts(record: Record, context: QueryContext) -> list[str]:
    return [mount.name for mount in record.mounts]


def _type(record: Record, context: QueryContext) -> str:
    return record.type.upper()


def resource_opts(record: Record) -> dict[str, Any]:
    """Return resource options with `shmem` in bytes.

    The vendor's command line reads `shmem` as a number (23.9.10 to 26.9.6).
    """
    shmem = record.resource_opts.get("shmem")
    return record.resource_opts | ({} if shmem is None else {"shmem": str(parse_size(shmem))})


_SHARED: dict[str, Resolver] = {
    "id": _same("id"),
    "session_id": _same("id"),
    "image": _same("image"),
    "architecture": _const(platform.machine()),
    "registry": _const("local"),
    "status": _same("status"),
    "status_changed": _time("changed"),
    "status_info": lambda record, context: record.status_info or None,
    "status_data": lambda record, context: text(status_data(record)),
    "created_at": _time("created"),
    "terminated_at": _time("ended"),
    "starts_at": _time("starts_at"),
    "scheduled_at": lambda record, context: _iso(scheduled(record)),
    "resource_opts": lambda record, context: text(resource_opts(record)),
    "occupied_slots": _held,
    "live_stat": _live_stat,
    "last_stat": _json("last_stat"),
}
FIELDS: dict[str, dict[str, Resolver]] = {
    "ComputeSession": _SHARED
    | {
        "main_kernel_id": _same("id"),
        "tag": _same("tag"),
        "name": _same("name"),
        "sess_id": _same("name"),
        "session_name": _same("name"),
        "type": _type,
        "sess_type": _type,
        "session_type": _type,
        "main_kernel_role": _type,
        "lang": _same("image"),
        "priority": _const(10),
        "cluster_template": _const(None),
        "cluster_mode": _same("cluster_mode"),
        "cluster_size": _same("size"),
        "domain_name": _same("domain"),
        "group_name": _same("group"),
        "group_id": lambda record, context: id_of(record.domain, record.group),
        "user_email": lambda record, context: record.user_email or None,
        "full_name": _const(None),
        "user_id": lambda record, context: id_of(record.access_key),
        "access_key": _same("access_key"),
        "created_user_email": _const(None),
        "created_user_id": _const(None),
        "created_user_uuid": _const(None),
        "status_updated": _time("changed"),
        "status_history": _json("history", "{}"),
        "startup_command": _same("startup_command"),
        "bootstrap_script": _same("bootstrap_script"),
        "callback_url": _same("callback_url"),
        "result": lambda record, context: record.result.upper(),
        "commit_status": _const("ready"),
        "abusing_reports": lambda record, context: [None for _ in containers(record, context)],
        "idle_checks": _idle_checks,
        "queue_position": lambda record, context: context.queue_position(record),
        "agent_ids": _agents,
        "agents": _agents,
        "scaling_group": _const("default"),
        "service_ports": lambda record, context: text(service_ports(record)),
        "mounts": _mounts,
        "vfolder_mounts": _mounts,
        "occupying_slots": _held,
        "requested_slots": _requested,
        "num_queries": _same("num_queries"),
        "inference_metrics": _const(None),
        "containers": containers,
        "dependencies": _dependencies,
        "local": _local,
    },
    "ComputeContainer": _SHARED
    | {
        "live_stat": _member_live_stat,
        "idx": _const(1),
        "role": _const("main"),
        "hostname": _const("main1"),
        "cluster_role": _const("main"),
        "cluster_idx": _const(1),
        "local_rank": _const(0),
        "cluster_hostname": _const("main1"),
        "abusing_report": _const(None),
        "occupied_slots": _member_slots,
        "status": lambda record, context: main_status(record),
        "agent": _for_superadmins(platform.node),
        "agent_addr": _for_superadmins(lambda: "127.0.0.1"),
        "container_id": lambda record, context: container_id(record),
        "preopen_ports": _same("preopen_ports"),
    },
}
