"""Images, folders, and this machine as the only agent and resource group, for GraphQL.

Source: managers 23.09 to 26.8. Each query gets the sessions, the key of the request, and its arguments.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import psutil

from jupyter_sessions._version import __version__
from jupyter_sessions.errors import Forbidden
from jupyter_sessions.manager.api.context import GraphQLItem, in_pages
from jupyter_sessions.manager.core.keys import DEFAULT, SUPERADMIN, Key, id_of
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.model import Image
from jupyter_sessions.wire.environment import Specs
from jupyter_sessions.wire.minimum import LABEL


def _scaling_groups(
    sessions: SessionManager, who: Key, *, name: str | None = None, **_: Any
) -> list[GraphQLItem]:
    there = {
        "name": DEFAULT,
        "description": "This machine",
        "is_active": True,
        "is_public": True,
        "driver": "static",
        "driver_opts": "{}",
        "scheduler": "fifo",
        "scheduler_opts": "{}",
        "use_host_network": True,
    }
    return [there] if name in (None, DEFAULT) else []


def _scaling_group(sessions: SessionManager, who: Key, *, name: str | None = None) -> GraphQLItem | None:
    return next(iter(_scaling_groups(sessions, who, name=name)), None)


def _images(sessions: SessionManager, who: Key, **_: Any) -> list[GraphQLItem]:
    return [_image_item(image) for image in Specs.here().images()]


def _image_item(image: Image) -> GraphQLItem:
    least = image.resources
    return {
        "name": image.name,
        "humanized_name": image.title,
        "tag": "",
        "registry": "local",
        "architecture": platform.machine(),
        "is_local": True,
        "installed": True,
        "size_bytes": 0,
        "status": "ALIVE",
        "type": "COMPUTE",
        "aliases": image.aliases,
        "labels": [
            {"key": "ai.backend.role", "value": "COMPUTE"},
            *({"key": f"{LABEL}{name}", "value": amount} for name, amount in least.items()),
        ],
        "tags": [],
        "resource_limits": [{"key": name, "min": amount, "max": None} for name, amount in least.items()],
        "supported_accelerators": ["cuda"],
        "installed_agents": [platform.node()],
    }


def _image(
    sessions: SessionManager, who: Key, *, reference: str, architecture: str | None = None
) -> GraphQLItem | None:
    names = {name: image for image in Specs.here().images() for name in (image.name, *image.aliases)}
    found = names.get(reference) or names.get(reference.removeprefix("local/").removesuffix(":"))
    return _image_item(found) if found else None


def _agent(sessions: SessionManager, who: Key) -> GraphQLItem:
    def texts(slots: dict[str, Any]) -> str:
        return msgspec.json.encode({name: str(amount) for name, amount in slots.items()}).decode()

    none = dict.fromkeys(sessions.capacity.slots, Decimal(0))
    running = [record for record in sessions.live if record.holds_slots]
    return {
        "id": platform.node(),
        "status": "ALIVE",
        "region": "local",
        "scaling_group": DEFAULT,
        "schedulable": True,
        "architecture": platform.machine(),
        "available_slots": texts(dict(sessions.capacity.slots)),
        "occupied_slots": texts(none | sessions.used()),
        "addr": "127.0.0.1",
        "version": __version__,
        "live_stat": None,
        "hardware_metadata": "{}",
        "compute_plugins": "{}",
        "local_config": "{}",
        "container_count": len(running),
        "cpu_cur_pct": psutil.cpu_percent(),
        "mem_cur_bytes": float(psutil.virtual_memory().used),
        "compute_containers": [record for record in running if who.sees(record)],
    }


def _agents(sessions: SessionManager, who: Key, **args: Any) -> list[GraphQLItem]:
    if who.role != SUPERADMIN:
        raise Forbidden("Forbidden operation.", hint="Use an administrator's key.")
    return _agent_summaries(sessions, who, **args)


def _agent_summaries(
    sessions: SessionManager, who: Key, *, scaling_group: str | None = None, status: str | None = None
) -> list[GraphQLItem]:
    here = scaling_group in (None, "", DEFAULT) and "ALIVE" in (status or "ALIVE").upper().split(",")
    return [_agent(sessions, who)] if here else []


def _agent_summary(sessions: SessionManager, who: Key, *, agent_id: str) -> GraphQLItem | None:
    return _agent(sessions, who) if agent_id == platform.node() else None


def _one_agent(sessions: SessionManager, who: Key, *, agent_id: str) -> GraphQLItem | None:
    if who.role != SUPERADMIN:
        raise Forbidden("Forbidden operation.", hint="Use an administrator's key.")
    return _agent_summary(sessions, who, agent_id=agent_id)


def folders(sessions: SessionManager) -> list[GraphQLItem]:
    """Return the folders that sessions may mount, as virtual folders."""
    return [
        {
            "id": id_of("folder", name),
            "name": name,
            "host": "local",
            "status": "ready",
            "unmanaged_path": folder.path,
            "usage_mode": "general",
            "permission": "ro" if folder.read_only else "rw",
            "ownership_type": "user",
            "cloneable": False,
            "is_owner": False,
            "type": "user",
        }
        for name, folder in sessions.folders.items()
    ]


def _folders(sessions: SessionManager, who: Key, **_: Any) -> list[GraphQLItem]:
    return folders(sessions)


def _resource_presets(sessions: SessionManager, who: Key) -> list[GraphQLItem]:
    return []


QUERIES: dict[str, Callable[..., Any]] = {
    "scaling_group": _scaling_group,
    "scaling_groups": _scaling_groups,
    "scaling_groups_for_domain": _scaling_groups,
    "scaling_groups_for_user_group": _scaling_groups,
    "scaling_groups_for_keypair": _scaling_groups,
    "image": _image,
    "images": _images,
    "agent": _one_agent,
    "agents": _agents,
    "agent_list": in_pages(_agents),
    "agent_summary": _agent_summary,
    "agent_summary_list": in_pages(_agent_summaries),
    "vfolder_list": in_pages(_folders),
    "vfolder_own_list": in_pages(_folders),
    "resource_presets": _resource_presets,
}
