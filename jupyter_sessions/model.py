"""The vocabulary: what a session is asked to be, and what it is.

`SessionSpec` joins the create parameters of the Backend.AI session API (seed 000) and of Skaha's
client (seed 004); `SessionInfo` joins what both of them, the monitoring API (seed 002) and the
command line (seed 003) report. Every face and every backend speaks in these.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from jupyter_sessions.errors import InvalidRequest

STATUSES = (
    "PENDING SCHEDULED PULLING PREPARING PREPARED CREATING RUNNING RUNNING_DEGRADED "
    "RESTARTING RESIZING SUSPENDED TERMINATING TERMINATED ERROR CANCELLED"
).split()
DEAD = frozenset({"CANCELLED", "TERMINATED"})
RUNNING = frozenset("PREPARING PULLING PREPARED CREATING RUNNING RUNNING_DEGRADED".split())
USABLE = frozenset({"RUNNING", "RUNNING_DEGRADED"})
TYPES = ("interactive", "batch")
TYPE_ALIASES = {"notebook": "interactive", "headless": "batch"}
"""Skaha's words for types that every backend has."""
REPLICA_ID, REPLICA_COUNT = "REPLICA_ID", "REPLICA_COUNT"
"""Variables that tell one of several alike its number, from 1 on, and how many there are (skaha 1.7.0, canfar 1.5.2)."""

_REASONS = {"user-requested": "on request"}
_STATUS_WORDS = {
    **dict.fromkeys(("PENDING", "SCHEDULED"), "waiting"),
    **dict.fromkeys(("PULLING", "PREPARING", "PREPARED", "CREATING"), "starting"),
    "RUNNING_DEGRADED": "running, degraded",
    "TERMINATED": "ended",
    "ERROR": "failed",
}
_STATUS_CLAUSES = {"ended": "has ended", "failed": "has failed", "cancelled": "was cancelled"}

RESERVED_FIELDS = ("cluster_template", "abusing_reports")
"""Names that the command line of Backend.AI knows and that no row has a field for; see `SessionInfo.extra`."""


def is_live(status: str) -> bool:
    """True for every status, known or not, of a session that has not ended."""
    return status not in DEAD


def status_word(status: str) -> str:
    """Return a status in people's words, such as "waiting"; the panel's `statusLabel` has the same words."""
    return _STATUS_WORDS.get(status, status.lower() if status in STATUSES else status)


def status_clause(status: str) -> str:
    """Return a status as the predicate of a sentence: "is running", "has ended"."""
    word = status_word(status)
    return _STATUS_CLAUSES.get(word, f"is {word}")


def standing(name: str, status: str, info: str, called: str = "") -> str:
    """Describe the state of a session in a sentence, with the reason if there is one."""
    called = called or f"The session '{name}'"
    if status_word(status) == "waiting" and info:
        return f"{called} is {waiting(info)}."
    if info.endswith("."):
        return f"{called} {status_clause(status)}: {info[0].lower()}{info[1:]}"
    return f"{called} {status_clause(status)}{f' ({reason(info)})' if info else ''}."


def reason(info: str) -> str:
    """Return the reason for a status in words: a backend's code as people say it, and all else unchanged."""
    return _REASONS.get(info, info)


def because(info: str) -> str:
    """Return a reason as the end of a sentence: " (on request).", ": it used more than its 512 MiB." or "."."""
    words = reason(info).removesuffix(".")
    if not words:
        return "."
    return f" ({words})." if info in _REASONS else f": {words}."


def waiting(info: str) -> str:
    """Return why a session waits as the rest of a sentence that begins with its name and "is"."""
    words = f"{info[:1].lower()}{info[1:].removesuffix('.')}"
    return words if words.startswith("waiting") else f"waiting{f' ({words})' if words else ' for its turn'}"


def in_group(status: str, group: str) -> bool:
    """Whether a status belongs to "live", "running", "dead", "all", or a comma list of statuses.

    Errors: InvalidRequest for a word that is no status.
    """
    if group == "all":
        return True
    if group == "live":
        return is_live(status)
    if group in ("dead", "running"):
        return status in (DEAD if group == "dead" else RUNNING)
    return status in parse_statuses(group)


def parse_statuses(text: str) -> list[str]:
    """A comma list of status names, case-insensitive, as upper-case names."""
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in STATUSES:
            hint = f"Use live, running, dead, all, or some of {', '.join(STATUSES)}."
            raise InvalidRequest(f"'{name}' is no session status.", hint=hint, field="status")
    return names


# --- what is asked for ---------------------------------------------------------------------------


class ProcessId(msgspec.Struct, frozen=True):
    """One process for all time. `start_time` is in clock ticks since boot (ms since 1970 off Linux)."""

    pid: int
    start_time: int
    boot_id: str
    pid_ns: int


class ServiceRequest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A service to be started with a session: "NAME", or "NAME:2" for a second one; an argument is an option of its command."""

    name: str
    arguments: dict[str, str] = {}


class SessionSpec(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a session is asked to be; what is left out is the backend's to fill in.

    Times are ISO 8601 or relative ("5m"), waits in seconds, `idle_timeout` and `time_limit` in
    seconds or as "4h", with 0 for none. A `type` of "" is the backend's to choose, `replicas` is for what makes
    several sessions (`create_replicas`). Fields mean what they do in "Creating Session" of Backend.AI's API and in
    `create` of Skaha's client.
    A session with an `owner` ends some time after that process has, unless another one asks for the same
    session for the same `notebook_path`, an absolute path, before. `kernel_arguments` follow those of the
    kernelspec. The values of `secrets`, which are names in `environ`, are shown and stored nowhere.
    """

    backend: str | None = None
    name: str | None = None
    image: str | None = None
    preset: str | None = None
    type: str = ""
    resources: dict[str, str | int | float | None] = {}
    resource_opts: dict[str, Any] = {}
    environ: dict[str, str] = {}
    secrets: list[str] = []
    cwd: str | None = None
    architecture: str | None = None
    reuse_if_exists: bool = True
    enqueue_only: bool = False
    max_wait_seconds: float = 0
    group: str | None = None
    domain: str | None = None
    resource_group: str | None = None
    cluster_size: int = 1
    cluster_mode: str = "single-node"
    mounts: list[str] = []
    mount_map: dict[str, str] = {}
    preopen_ports: list[int] = []
    services: list[ServiceRequest] = []
    tag: str | None = None
    starts_at: str | None = None
    startup_command: str | None = None
    bootstrap_script: str | None = None
    dependencies: list[str] = []
    callback_url: str | None = None
    owner_access_key: str | None = None
    priority: int | None = None
    batch_timeout: float | str | None = None
    replicas: int = 1
    idle_timeout: float | str | None = None
    time_limit: float | str | None = None
    owner: ProcessId | None = None
    notebook_path: str | None = None
    kernel_arguments: list[str] = []


# --- what it is ----------------------------------------------------------------------------------


class Service(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A service port. `url` is relative to the Jupyter server's base URL, or absolute.

    Backends leave `url` empty for services that the Jupyter server proxies (`Backend.open_service`); `path` is where it
    opens below that. `state` is "not started", "starting", "ready" or "failed" since `since`, "" if that is not known,
    and `ended` says why it has ended, until it is started again. `arguments` are those with which it was started,
    `allowed_arguments` those that its backend takes. `new_tab` says that it wants a browser tab.
    """

    name: str
    title: str = ""
    protocol: str = "http"
    url: str = ""
    path: str = ""
    ports: list[int] = []
    state: str = ""
    since: datetime | None = None
    ended: str = ""
    arguments: dict[str, str] | None = None
    allowed_arguments: list[str] | None = None
    new_tab: bool = False


class Container(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One member of a session; Backend.AI's ComputeContainer."""

    id: str
    role: str = "main"
    hostname: str = "main1"
    status: str = ""
    status_info: str = ""
    container_id: str | None = None
    agent: str | None = None
    occupied_slots: dict[str, str] = {}
    live_stat: dict[str, Any] | None = None
    last_stat: dict[str, Any] | None = None


class SessionInfo(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What a session is: one row of every list. Unset optional fields are left out of the JSON.

    `age` and `cpu_credit_used` are milliseconds; `limits` names the means that
    enforce each resource, `survives` says what the session outlives, `owned` that it was made for a
    notebook (at `notebook_path`, by the process `owner`) and ends with it, `expected_at` when one that waits is expected to start, `hopeless` that it never will as things
    are, and `extra` keeps whatever a backend reports that has no field here.
    """

    backend: str
    id: str
    name: str
    image: str
    type: str
    status: str
    status_info: str
    resources: dict[str, str]
    services: list[Service]
    created_at: datetime | None
    status_changed: datetime | None = None
    scheduled_at: datetime | None = None
    starts_at: datetime | None = None
    started_at: datetime | None = None
    terminated_at: datetime | None = None
    status_data: dict[str, Any] | None = None
    status_history: dict[str, str] = {}
    result: str = "UNDEFINED"
    exit_code: int | None = None
    occupied_slots: dict[str, str] = {}
    resource_opts: dict[str, Any] = {}
    environ: dict[str, str] = {}
    secrets: list[str] = []
    cwd: str | None = None
    architecture: str | None = None
    registry: str | None = None
    container_id: str | None = None
    main_kernel_id: str | None = None
    containers: list[Container] = []
    cluster_size: int = 1
    cluster_mode: str = "single-node"
    dependencies: list[str] = []
    mounts: list[str] = []
    tag: str | None = None
    startup_command: str | None = None
    domain_name: str | None = None
    group_name: str | None = None
    group_id: str | None = None
    user_id: str | None = None
    user_email: str | None = None
    access_key: str | None = None
    resource_group: str | None = None
    agents: list[str] = []
    age: int | None = None
    cpu_credit_used: int | None = None
    num_queries: int | None = None
    live_stat: dict[str, Any] | None = None
    last_stat: dict[str, Any] | None = None
    idle_checks: dict[str, Any] | None = None
    ends_at: datetime | None = None
    ends_why: str | None = None
    survives: dict[str, bool] = {}
    limits: dict[str, str] = {}
    restarts: int = 0
    owned: bool = False
    owner: ProcessId | None = None
    notebook_path: str | None = None
    reused: bool = False
    expected_at: datetime | None = None
    hopeless: bool = False
    extra: dict[str, Any] = {}

    @property
    def live(self) -> bool:
        """True until the session has ended."""
        return is_live(self.status)

    def list_fingerprint(self) -> tuple[object, ...]:
        """What a list shows of it; measurements that change all the time are left out."""
        services = [(one.name, one.url, one.state, one.since, one.ended) for one in self.services]
        state = (self.status, self.status_info, self.status_changed, self.ends_at, self.ends_why)
        return (*state, self.expected_at, self.hopeless, self.name, self.resources, services)

    @property
    def ref(self) -> str:
        """How people write it: "backend/name"."""
        return f"{self.backend}/{self.name}"


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened to a session, in its backend's words; `when` it did first, unless that is not known."""

    what: str
    when: datetime | None = None


class Image(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An environment or image a backend offers; resources given are its minimum.

    `types` are those of the sessions it is for, the usual one first, if not each image is for all types.
    """

    name: str
    title: str = ""
    language: str = ""
    aliases: list[str] = []
    resources: dict[str, str] = {}
    types: list[str] = []


class Amount(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How much of a slot a backend has in all, and how much of it is free now.

    `most` is what one session can have, if that is less: the largest of several machines. `device` is how much of the
    slot one whole device is, where devices are given out in shares.
    """

    total: str
    free: str
    most: str | None = None
    device: str | None = None


class Size(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A choice of amounts that goes by a name; `fits` if there is room for it now. `shared_memory` as "64m"."""

    name: str
    resources: dict[str, str]
    shared_memory: str | None = None
    fits: bool = True


class Folder(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A folder that sessions may mount, or each has without being asked for if it is `automatic`."""

    name: str
    read_only: bool = False
    automatic: bool = False


class Choices(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one may choose from for a session, apart from its image: `groups` are resource groups."""

    sizes: list[Size] = []
    groups: list[str] = []
    projects: list[str] = []
    folders: list[Folder] = []


class NameRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A backend's rule for session names: a pattern, and the same in words.

    `lower` says that the backend changes names to lower case.
    """

    pattern: str
    message: str
    lower: bool = False

    def check(self, name: str) -> None:
        """Errors: InvalidRequest for a name that breaks the rule."""
        if not re.fullmatch(self.pattern, name, re.ASCII):
            raise InvalidRequest(f"'{name}' cannot be a session's name.", hint=self.message, field="name")


class Endpoint(msgspec.Struct, frozen=True):
    """Where a service listens: the path of a unix socket, or a URL on loopback.

    A service that is `at_root` is sent paths without the one under which browsers see it; one that has a `base_url`
    knows another one, and what it says of that has to be translated (`wire.proxy.rebase`). Who listens on a unix
    socket that `hands_over` is not the service: it gives each client a connection to it (`wire.descriptors`),
    for a port on which any user of the machine may listen. A URL is connected to without a look at who listens.
    `headers` are header fields for each request to the service.
    """

    socket: str | None = None
    url: str | None = None
    at_root: bool = False
    base_url: str | None = None
    hands_over: bool = False
    headers: dict[str, str] = {}


class KernelConnection(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a session's kernel; holds a secret, the key that signs messages.

    Source: "Making kernels for Jupyter", connection files. With ipc, `ip` and the ports are the paths
    of sockets: "IP-PORT".
    """

    transport: str
    ip: str
    key: str
    shell_port: int
    iopub_port: int
    stdin_port: int
    control_port: int
    hb_port: int
    signature_scheme: str = "hmac-sha256"

    def __repr__(self) -> str:
        return f"KernelConnection({self.transport}://{self.ip})"
