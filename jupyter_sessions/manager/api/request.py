"""Parse create requests, in any spelling of their fields.

Source: seed 000, and the create handlers of managers 23.09 to 26.8 for aliases and their order.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import msgspec

from jupyter_sessions.amounts import parse_slots
from jupyter_sessions.errors import InvalidRequest, NotSupported
from jupyter_sessions.manager.core.cluster import MODES
from jupyter_sessions.model import ServiceRequest
from jupyter_sessions.wire.environment import SERVICE_NAME, Launch
from jupyter_sessions.wire.identity import Identity
from jupyter_sessions.wire.spec_limits import check_lists

NAMES = ("name", "session_name", "clientSessionToken")
"""The spellings of the field for a session's name."""
_ALIASES = {
    "name": NAMES,
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
    "batch_timeout": ("batch_timeout", "batchTimeout"),
}
_CONFIG = {
    "environ": ("environ",),
    "secrets": ("secrets",),
    "notify": ("notify",),
    "resources": ("resources",),
    "resource_opts": ("resource_opts", "resourceOpts"),
    "mounts": ("mounts",),
    "mount_map": ("mount_map", "mountMap"),
    "preopen_ports": ("preopen_ports", "preopenPorts"),
    "services": ("services",),
    "launch": ("launch",),
    "owner": ("owner",),
    "bounds": ("bounds",),
    "visible_devices": ("visible_devices",),
    "notebook_path": ("notebook_path",),
    "idle_timeout": ("idle_timeout",),
    "time_limit": ("time_limit",),
}
_TYPES = ("interactive", "batch")
_TYPES_ELSEWHERE = ("inference", "system", "compute")
_PORTS = range(1024, 65536)
_LONGEST_IMAGE = 250
MOST_MEMBERS = 250


class CreateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A create request in one spelling.

    Additions of this manager: `launch`, which the client resolved; `owner` and `notebook_path`; the client's
    `bounds`, and its CUDA_VISIBLE_DEVICES as `visible_devices`; and the spans of time `idle_timeout` and
    `time_limit` ("30m", or seconds; 0 for none); and `secrets`, names of variables whose values nobody may see; and `notify`, targets of messages.
    """

    name: str
    image: str
    type: str = "interactive"
    architecture: str | None = None
    group: str | None = None
    domain: str | None = None
    cluster_size: int = 1
    cluster_mode: str = "single-node"
    tag: str | None = None
    enqueue_only: bool = False
    max_wait_seconds: float = 0
    reuse_if_exists: bool = True
    starts_at: str | None = None
    startup_command: str | None = None
    bootstrap_script: str | None = None
    dependencies: list[str] | str = []
    callback_url: str | None = None
    owner_access_key: str | None = None
    environ: dict[str, str] = {}
    secrets: list[str] = []
    notify: list[str] = []
    resources: dict[str, Any] = {}
    resource_opts: dict[str, Any] = {}
    mounts: list[str] = []
    mount_map: dict[str, str] = {}
    preopen_ports: list[int] = []
    services: list[ServiceRequest] = []
    launch: Launch | None = None
    owner: Identity | None = None
    bounds: dict[str, Any] = {}
    visible_devices: str | None = None
    notebook_path: str = ""
    batch_timeout: str | float | None = None
    idle_timeout: str | float | None = None
    time_limit: str | float | None = None

    def slots(self) -> dict[str, Decimal]:
        """Return the requested amounts. Errors: InvalidRequest."""
        return parse_slots(self.resources)


def read_create(body: object) -> CreateRequest:
    """Parse the body of a create request. Errors: InvalidRequest naming the field, NotSupported."""
    if not isinstance(body, dict):
        raise InvalidRequest("The request must be a JSON object.", hint="Send {…}.")
    config = body.get("config") or {}
    if not isinstance(config, dict):
        raise InvalidRequest("The value of 'config' must be an object.", hint="Send {…}.", field="config")
    chosen = _choose(body, _ALIASES) | _choose(config, _CONFIG)
    if "cluster_size" not in chosen:
        chosen |= _choose(config, {"cluster_size": ("clusterSize", "cluster_size")})
    if "name" not in chosen:
        raise InvalidRequest(
            "The name of the session is missing.",
            hint="Send the name of the session as clientSessionToken, or as name.",
            field="clientSessionToken",
        )
    values = {name: value for name, (_, value) in chosen.items()}
    check_lists({name: value for name, value in values.items() if name != "launch"})
    values["environ"] = read_environ(values.get("environ", {}))
    try:
        request = msgspec.convert(values, CreateRequest, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(error, {name: key for name, (key, _) in chosen.items()}) from None
    _refuse(request)
    return request


def _choose(source: dict[str, Any], aliases: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, Any]]:
    """Return each field that was sent, with the spelling used and its value."""
    found = {name: [key for key in keys if source.get(key) is not None] for name, keys in aliases.items()}
    return {name: (keys[0], source[keys[0]]) for name, keys in found.items() if keys}


def read_environ(given: object) -> dict[str, str]:
    """Return environment variables as text; numbers are converted. Errors: InvalidRequest."""
    if not isinstance(given, dict):
        raise InvalidRequest(
            "The value of 'environ' must be an object.", hint="Send {NAME: value}.", field="environ"
        )
    for name, value in given.items():
        if not name or "=" in name or "\0" in name:
            hint = "A name is not empty and holds no '='."
            raise InvalidRequest(f"{name!r} cannot be the name of a variable.", hint=hint, field="environ")
        if isinstance(value, bool) or not isinstance(value, str | int | float) or "\0" in str(value):
            raise InvalidRequest(
                f"The value of the variable {name} is no text.", hint="Put it in quotes.", field="environ"
            )
    return {name: str(value) for name, value in given.items()}


def _invalid(error: msgspec.ValidationError, spelled: dict[str, str]) -> InvalidRequest:
    """Return the error with the field in the sender's spelling."""
    text, _, path = str(error).partition(" - at `$.")
    field = path.rstrip("`") or text.rpartition("field `")[2].rstrip("`") or "request"
    name = re.split(r"[.\[]", field, maxsplit=1)[0]
    field = spelled.get(name, name) + field.removeprefix(name)
    return InvalidRequest(
        f"The field '{field}' cannot be read: {text[0].lower()}{text[1:]}.",
        hint="Correct this field.",
        field=field,
    )


def _refuse(request: CreateRequest) -> None:
    if not 0 <= request.max_wait_seconds < math.inf:
        raise InvalidRequest(
            "The value of 'maxWaitSeconds' must be 0 or more.",
            hint="0 waits for ever.",
            field="maxWaitSeconds",
        )
    if "\0" in request.image or len(request.image) > _LONGEST_IMAGE:
        raise InvalidRequest(
            "This cannot be the name of an image.", hint="Choose one of the list.", field="image"
        )
    if request.launch is not None:
        _check_launch(request.launch)
    _check_kind(request)
    _check_cluster(request)
    _check_amounts(request)


def _check_kind(request: CreateRequest) -> None:
    if request.type in _TYPES_ELSEWHERE:
        raise NotSupported(
            f"This machine does not run {request.type} sessions.",
            hint="Use interactive or batch.",
            field="type",
        )
    if request.type not in _TYPES:
        raise InvalidRequest(
            f"There are no {request.type} sessions.", hint="Use interactive or batch.", field="type"
        )
    if request.type == "batch" and not (request.startup_command or "").strip():
        raise InvalidRequest(
            "A batch session needs a startup command.",
            hint="Give the shell command that it is to run.",
            field="startupCommand",
        )
    for field in ("startup_command", "bootstrap_script"):
        if "\0" in (getattr(request, field) or ""):
            raise InvalidRequest(
                f"The value of '{field}' holds a zero byte.", hint="Send plain text.", field=field
            )


def _check_cluster(request: CreateRequest) -> None:
    if not 1 <= request.cluster_size <= MOST_MEMBERS:
        hint = f"Use 1 to {MOST_MEMBERS}."
        raise InvalidRequest(
            f"A session cannot have {request.cluster_size} members.",
            hint=hint,
            field="cluster_size",
        )
    if request.cluster_mode not in MODES:
        raise InvalidRequest(
            f"There is no cluster mode '{request.cluster_mode}'.",
            hint=f"Use {' or '.join(MODES)}.",
            field="cluster_mode",
        )


def _check_amounts(request: CreateRequest) -> None:
    for port in request.preopen_ports:
        if port not in _PORTS or request.preopen_ports.count(port) > 1:
            hint = f"Use each once, from {_PORTS[0]} to {_PORTS[-1]}."
            raise InvalidRequest(f"Port {port} cannot be opened.", hint=hint, field="preopen_ports")
    if "shmem" in request.resources:
        raise InvalidRequest("'shmem' is no resource.", hint="Put it into resource_opts.", field="shmem")


def _check_launch(launch: Launch) -> None:
    services = {**launch.services, **launch.configured_services}
    check_lists({"launch": [launch.argv, services, launch.minimum, launch.interpreters]})
    read_environ(launch.env)
    for name in services:
        if not SERVICE_NAME.fullmatch(name):
            hint = "Use letters, digits, '.', '_' and '-', at most 40."
            raise InvalidRequest(f"'{name[:60]}' cannot name a service.", hint=hint, field="launch")
    texts = [
        launch.cwd,
        *launch.argv,
        *launch.interpreters,
        *(part for command in launch.services.values() for part in command),
    ]
    if not all(launch.argv[:1]) or not launch.argv or any("\0" in text for text in texts):
        raise InvalidRequest("The value of 'launch' names nothing that can be started.", field="launch")
