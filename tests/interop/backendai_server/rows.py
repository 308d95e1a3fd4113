"""Rows of the manager's database: what each release needs to start sessions, and nothing more.

Those of 25.5.2 were found by running it; how others' tables differ was read off their columns.
"""

from __future__ import annotations

from typing import Any

import msgspec

from jupyter_sessions.wire.signing import Keypair
from tests.interop.backendai_server.releases import Release

Rows = dict[str, list[dict[str, Any]]]
ADMIN = Keypair("AKIATESTADMIN0000001", "testadminsecretkey0000000000000000000001")
USER = Keypair("AKIATESTUSER00000001", "testusersecretkey00000000000000000000001")
REGISTRY = "registry.test.local"
IMAGE = f"{REGISTRY}/stable/python:3.11-ubuntu22.04"
OTHER_IMAGE = f"{REGISTRY}/stable/r:4.4-ubuntu22.04"
_PROJECT = "00000000-0000-4000-8000-0000000000a1"
_REGISTRY_ID = "00000000-0000-4000-8000-0000000000c1"
_DOMAIN_ID = "00000000-0000-4000-8000-0000000000b1"
_GROUP_ID = "00000000-0000-4000-8000-0000000000b2"
_IMAGE_ID = "00000000-0000-4000-8000-0000000000d1"
_USERS = {
    "admin": ("00000000-0000-4000-8000-000000000001", "superadmin", ADMIN),
    "user": ("00000000-0000-4000-8000-000000000002", "user", USER),
}
REGISTRIES_SINCE = (24, 9)
"""Before that registries of images are no rows, but keys of etcd."""
_IDS_SINCE = (26, 0)
_UNFILLED = ("images", "image_aliases")


def of(release: Release) -> list[dict[str, Any]]:
    """What to fill the tables with, one after the other, as some name each other."""
    rows = _in_2025()
    if release.number >= _IDS_SINCE:
        _with_ids(rows)
        return [rows]
    if release.number < REGISTRIES_SINCE:
        _as_in_2023(rows)
        for name in _UNFILLED:
            del rows[name]
    return [rows, _main_keys()]


def rest_of(release: Release) -> str:
    """Statements for the tables that the command of a release cannot fill."""
    rows = _in_2025()
    _as_in_2023(rows)
    unfilled = _UNFILLED if release.number < REGISTRIES_SINCE else ()
    return ";".join(_insert(name, rows[name]) for name in unfilled)


def joining(release: Release) -> dict[str, Any] | None:
    """The mutation that makes the users members of their project, where rows cannot say so."""
    if release.number < _IDS_SINCE:
        return None
    return {
        "query": "mutation($id: UUID!, $props: ModifyGroupInput!) { modify_group(gid: $id, props: $props) { ok msg } }",
        "variables": {
            "id": _PROJECT,
            "props": {"user_update_mode": "add", "user_uuids": [uuid for uuid, _, _ in _USERS.values()]},
        },
    }


def _insert(table: str, rows: list[dict[str, Any]]) -> str:
    columns = ", ".join(rows[0])
    values = msgspec.json.encode(rows).decode()
    return f"INSERT INTO {table} ({columns}) SELECT {columns} FROM json_populate_recordset(null::{table}, '{values}')"


def _as_in_2023(rows: Rows) -> None:
    """Folders are limited otherwise, registries are etcd's, and projects have no types."""
    del rows["container_registries"]
    kinds = ("user", "project", "keypair")
    for row in (row for kind in kinds for row in rows[f"{kind}_resource_policies"]):
        for name in ("max_quota_scope_size", "max_customized_image_count", "max_network_count"):
            row.pop(name, None)
    for kind in ("user", "project"):
        for row in rows[f"{kind}_resource_policies"]:
            del row["max_vfolder_count"]
    for row in (row for kind in kinds for row in rows[f"{kind}_resource_policies"]):
        row["max_vfolder_size"] = 0
    for row in rows["keypair_resource_policies"]:
        row["max_vfolder_count"] = 0
    for row in rows["groups"]:
        del row["type"]
    for row in rows["images"]:
        del row["project"], row["registry_id"]


def _with_ids(rows: Rows) -> None:
    """Domains and resource groups are referred to by id, and kinds of resources are rows."""
    rows["resource_slot_types"] = [
        {"slot_name": name, "slot_type": kind} for name, kind in (("cpu", "count"), ("mem", "bytes"))
    ]
    del rows["association_groups_users"]
    rows["domains"][0]["id"] = _DOMAIN_ID
    rows["scaling_groups"][0]["id"] = _GROUP_ID
    rows["sgroups_for_domains"] = [{"resource_group_id": _GROUP_ID, "domain_id": _DOMAIN_ID}]
    for row in rows["users"]:
        row["domain_id"] = _DOMAIN_ID
    for row in rows["keypairs"]:
        del row["user_id"]
        row["is_default"] = True


def _in_2025() -> Rows:
    no_limit: dict[str, Any] = {"total_resource_slots": {}, "allowed_vfolder_hosts": {}}
    return {
        "user_resource_policies": [
            {
                "name": "default",
                "max_vfolder_count": 0,
                "max_quota_scope_size": -1,
                "max_session_count_per_model_session": 10,
                "max_customized_image_count": 3,
            }
        ],
        "project_resource_policies": [
            {"name": "default", "max_vfolder_count": 0, "max_quota_scope_size": -1, "max_network_count": 3}
        ],
        "keypair_resource_policies": [
            no_limit
            | {
                "name": "default",
                "default_for_unspecified": "UNLIMITED",
                "max_session_lifetime": 0,
                "max_concurrent_sessions": 300,
                "max_containers_per_session": 1,
                "idle_timeout": 0,
            },
            no_limit
            | {
                "name": "small",
                "default_for_unspecified": "LIMITED",
                "total_resource_slots": {"cpu": "2", "mem": "2147483648"},
                "max_session_lifetime": 0,
                "max_concurrent_sessions": 2,
                "max_containers_per_session": 1,
                "idle_timeout": 0,
            },
        ],
        "domains": [
            no_limit | {"name": "default", "is_active": True, "allowed_docker_registries": [REGISTRY]}
        ],
        "groups": [
            no_limit
            | {
                "id": _PROJECT,
                "name": "default",
                "is_active": True,
                "domain_name": "default",
                "resource_policy": "default",
                "type": "general",
            }
        ],
        "scaling_groups": [
            {
                "name": "default",
                "is_active": True,
                "driver": "static",
                "driver_opts": {},
                "scheduler": "fifo",
                "scheduler_opts": {},
            }
        ],
        "sgroups_for_domains": [{"scaling_group": "default", "domain": "default"}],
        "users": [
            {
                "uuid": uuid,
                "username": name,
                "email": f"{name}@test.local",
                "password": f"{name}-pw",
                "need_password_change": False,
                "status": "active",
                "status_info": "admin-requested",
                "domain_name": "default",
                "resource_policy": "default",
                "role": role,
            }
            for name, (uuid, role, _) in _USERS.items()
        ],
        "keypairs": [
            {
                "user_id": f"{name}@test.local",
                "access_key": key.access_key,
                "secret_key": key.secret_key,
                "is_active": True,
                "is_admin": role == "superadmin",
                "resource_policy": "default" if role == "superadmin" else "small",
                "rate_limit": 30000,
                "num_queries": 0,
                "user": uuid,
            }
            for name, (uuid, role, key) in _USERS.items()
        ],
        "association_groups_users": [
            {"group_id": _PROJECT, "user_id": uuid} for uuid, _, _ in _USERS.values()
        ],
        "container_registries": [
            {
                "id": _REGISTRY_ID,
                "url": f"http://{REGISTRY}",
                "registry_name": REGISTRY,
                "type": "docker",
                "project": "stable",
            }
        ],
        "images": [_image(IMAGE, _IMAGE_ID), _image(OTHER_IMAGE, f"{_IMAGE_ID[:-1]}2")],
        "image_aliases": [
            {"id": "00000000-0000-4000-8000-0000000000e1", "alias": "python", "image": _IMAGE_ID}
        ],
    }


def _image(name: str, uuid: str) -> dict[str, Any]:
    image, tag = name.removeprefix(f"{REGISTRY}/").split(":")
    return {
        "id": uuid,
        "name": name,
        "project": "stable",
        "image": image,
        "tag": tag,
        "registry": REGISTRY,
        "registry_id": _REGISTRY_ID,
        "architecture": "x86_64",
        "config_digest": f"sha256:{uuid[-1] * 64}",
        "size_bytes": 1000,
        "is_local": False,
        "type": "COMPUTE",
        "accelerators": None,
        "labels": {
            "ai.backend.kernelspec": "1",
            "ai.backend.role": "COMPUTE",
            "ai.backend.base-distro": "ubuntu22.04",
            "ai.backend.runtime-type": "python",
            "ai.backend.runtime-path": "/usr/bin/python3",
            "ai.backend.features": "batch query uid-match user-input",
            "ai.backend.resource.min.cpu": "1",
            "ai.backend.resource.min.mem": "64m",
            "ai.backend.service-ports": "ipython:pty:3000,jupyter:http:8091,jupyterlab:http:8090",
        },
        "resources": {"cpu": {"min": "1", "max": None}, "mem": {"min": "64m", "max": None}},
    }


def _main_keys() -> dict[str, Any]:
    """Which keypair is each user's own, for a second run as they name each other."""
    users = [{"uuid": uuid, "main_access_key": key.access_key} for uuid, _, key in _USERS.values()]
    return {"__mode": "update", "users": users}
