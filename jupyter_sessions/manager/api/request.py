"""What a create request asks for, from any spelling of its fields.

Source: seed 000, and the create handlers of managers 23.09 to 26.8 for aliases and their order.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec

from jupyter_sessions.errors import InvalidRequest, NotSupported
from jupyter_sessions.model import parse_slots
from jupyter_sessions.wire.environment import Launch
from jupyter_sessions.wire.identity import Identity

_ALIASES = {
    "name": ("name", "session_name", "clientSessionToken"),
    "image": ("image", "lang"),
    "architecture": ("arch", "architecture"),
    "type": ("type", "sessionType"),
    "group": ("group", "groupName", "group_name"),
    "domain": ("domain", "domainName", "domain_name"),
    "cluster_size": ("cluster_size", "clusterSize"),
    "cluster_mode": ("cluster_mode", "clusterMode"),
    "tag": ("tag",),
    "enqueue_only": ("enqueueOnly",),
    "max_wait_seconds": ("maxWaitSeconds",),
    "reuse_if_exists": ("reuseIfExists",),
    "starts_at": ("starts_at", "startsAt"),
    "startup_command": ("startupCommand",),
    "bootstrap_script": ("bootstrap_script", "bootstrapScript"),
    "dependencies": ("dependencies",),
    "callback_url": ("callback_url", "callbackUrl", "callbackURL"),
    "owner_access_key": ("owner_access_key",),
}
_CONFIG = {
    "environ": ("environ",),
    "resources": ("resources",),
    "resource_opts": ("resource_opts", "resourceOpts"),
    "mounts": ("mounts",),
    "mount_map": ("mount_map", "mountMap"),
    "preopen_ports": ("preopen_ports", "preopenPorts"),
    "launch": ("launch",),
    "owner": ("owner",),
}
_LATER = {
    "starts_at": "start times",
    "startup_command": "start-up commands",
    "bootstrap_script": "bootstrap scripts",
    "dependencies": "dependencies",
    "callback_url": "callbacks",
    "mounts": "mounted folders",
    "mount_map": "mounted folders",
    "preopen_ports": "ports opened beforehand",
}


class CreateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A create request in one spelling. Our own: `launch`, what the asking side resolved, and `owner`."""

    name: str
    image: str
    type: str = "interactive"
    architecture: str | None = None
    group: str = "default"
    domain: str = "default"
    cluster_size: int = 1
    cluster_mode: str = "single-node"
    tag: str | None = None
    enqueue_only: bool = False
    max_wait_seconds: float = 0
    reuse_if_exists: bool = True
    starts_at: str | None = None
    startup_command: str | None = None
    bootstrap_script: str | None = None
    dependencies: list[str] = []
    callback_url: str | None = None
    owner_access_key: str | None = None
    environ: dict[str, str] = {}
    resources: dict[str, Any] = {}
    resource_opts: dict[str, Any] = {}
    mounts: list[str] = []
    mount_map: dict[str, str] = {}
    preopen_ports: list[int] = []
    launch: Launch | None = None
    owner: Identity | None = None

    def slots(self) -> dict[str, Decimal]:
        """The amounts asked for. Errors: InvalidRequest."""
        return parse_slots(self.resources)


def read_create(body: object) -> CreateRequest:
    """Read a create request's body. Errors: InvalidRequest naming the field, NotSupported."""
    if not isinstance(body, dict):
        raise InvalidRequest("The request must be a JSON object.", hint="Send {…}.")
    config = body.get("config") or {}
    if not isinstance(config, dict):
        raise InvalidRequest("config: this must be an object.", hint="Send {…}.", field="config")
    chosen = _choose(body, _ALIASES) | _choose(config, _CONFIG)
    if "cluster_size" not in chosen:
        chosen |= _choose(config, {"cluster_size": ("clusterSize", "cluster_size")})
    chosen["environ"] = _environ(chosen.get("environ", {}))
    try:
        request = msgspec.convert(chosen, CreateRequest, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error) from None
    _refuse(request)
    return request


def _choose(source: dict[str, Any], aliases: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    found = {
        name: [source[key] for key in keys if source.get(key) is not None] for name, keys in aliases.items()
    }
    return {name: values[0] for name, values in found.items() if values}


def _environ(given: object) -> dict[str, str]:
    """Environment variables as text; numbers are taken, too. Errors: InvalidRequest."""
    if not isinstance(given, dict):
        raise InvalidRequest("environ: this must be an object.", hint="Send {NAME: value}.", field="environ")
    for name, value in given.items():
        if not name or "=" in name or "\0" in name:
            hint = "A name is not empty and holds no '='."
            raise InvalidRequest(
                f"environ: {name!r} cannot be the name of a variable.", hint=hint, field="environ"
            )
        if isinstance(value, bool) or not isinstance(value, str | int | float) or "\0" in str(value):
            raise InvalidRequest(
                f"environ: the value of {name} is no text.", hint="Put it in quotes.", field="environ"
            )
    return {name: str(value) for name, value in given.items()}


def _invalid(error: msgspec.ValidationError) -> InvalidRequest:
    text, _, path = str(error).partition(" - at `$.")
    field = path.rstrip("`") or text.rpartition("field `")[2].rstrip("`") or "request"
    return InvalidRequest(f"{field}: {text[0].lower()}{text[1:]}.", hint="Correct this field.", field=field)


def _refuse(request: CreateRequest) -> None:
    if not 0 <= request.max_wait_seconds < math.inf:
        raise InvalidRequest(
            "maxWaitSeconds: this must be 0 or more.", hint="0 waits for ever.", field="maxWaitSeconds"
        )
    if request.launch is not None:
        _check_launch(request.launch)
    if request.type != "interactive":
        raise NotSupported(
            f"type: this machine does not run {request.type} sessions.", hint="Use interactive.", field="type"
        )
    if request.cluster_size != 1:
        raise NotSupported(
            "cluster_size: this machine runs sessions of one member.", hint="Use 1.", field="cluster_size"
        )
    for field, words in _LATER.items():
        if getattr(request, field):
            raise NotSupported(
                f"{field}: this machine does not do {words}.", hint="Leave it out.", field=field
            )
    for field in ("group", "domain"):
        if getattr(request, field) != "default":
            value = getattr(request, field)
            raise InvalidRequest(
                f"{field}: there is no {field} '{value}'.", hint="There is: default.", field=field
            )


def _check_launch(launch: Launch) -> None:
    _environ(launch.env)
    texts = [launch.cwd, *launch.argv, *(part for command in launch.services.values() for part in command)]
    if not all(launch.argv[:1]) or not launch.argv or any("\0" in text for text in texts):
        raise InvalidRequest("launch: this cannot be started.", field="launch")
