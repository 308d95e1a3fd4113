"""The common model: the specification of a session, and its state.

`SessionSpec` combines the create parameters of the Backend.AI session API (seed 000) and of Skaha's client (seed 004);
`SessionInfo` combines what both of them, the monitoring API (seed 002) and the command line (seed 003) report. All
interfaces and all backends use these.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.statuses import DEAD as DEAD
from jupyter_sessions.statuses import RUNNING as RUNNING
from jupyter_sessions.statuses import STATUSES as STATUSES
from jupyter_sessions.statuses import USABLE as USABLE
from jupyter_sessions.statuses import because as because
from jupyter_sessions.statuses import in_group as in_group
from jupyter_sessions.statuses import is_live as is_live
from jupyter_sessions.statuses import parse_statuses as parse_statuses
from jupyter_sessions.statuses import reason as reason
from jupyter_sessions.statuses import standing as standing
from jupyter_sessions.statuses import status_clause as status_clause
from jupyter_sessions.statuses import status_word as status_word
from jupyter_sessions.statuses import waiting as waiting

TYPES = ("interactive", "batch")
TYPE_ALIASES = {"notebook": "interactive", "headless": "batch"}
"""Skaha's names for the types that every backend has."""
REPLICA_ID, REPLICA_COUNT = "REPLICA_ID", "REPLICA_COUNT"
"""Variables with the number of a replica, from 1 on, and the number of all replicas (skaha 1.7.0, canfar 1.5.2)."""

ENDS_WHY = ("idle", "time_limit", "lifetime", "credential")
"""The session was not used, or ran as long as it asked for, as its backend allows, or as its credentials are valid."""
RESERVED_FIELDS = ("cluster_template", "abusing_reports")
"""Names of Backend.AI's command line for which `SessionInfo` has no field; see `SessionInfo.extra`."""


# --- requests ------------------------------------------------------------------------------------


class ProcessId(msgspec.Struct, frozen=True):
    """The unique identity of a process. `start_time` is in clock ticks since boot (ms since 1970 outside of Linux)."""

    pid: int
    start_time: int
    boot_id: str
    pid_ns: int


class ServiceRequest(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A service to start with a session: "NAME", or "NAME:2" for a second instance; arguments are options of its command."""

    name: str
    arguments: dict[str, str] = {}


class SessionSpec(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The specification of a session; the backend completes missing fields.

    Times are ISO 8601 or relative ("5m"); waits are in seconds; `idle_timeout` and `time_limit` are in seconds or as "4h",
    with 0 for none. With the `type` "" the backend chooses. `replicas` is for `create_replicas`. Fields have the meaning of
    "Creating Session" of Backend.AI's API and of `create` of Skaha's client.
    A session with an `owner` ends some time after this process, unless another process requests the same session for the
    same `notebook_path`, an absolute path, before. `kernel_arguments` are added to those of the kernelspec. The values of
    `secrets`, which are names in `environ`, are neither shown nor stored. `requirements` is the text of a requirements file.
    `notify` says whom to tell: targets such as "mailto:me@example.org", or names of the configuration.
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
    requirements: str | None = None
    notify: list[str] | None = None


# --- state ---------------------------------------------------------------------------------------


class Service(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """A service of a session. `url` is relative to the Jupyter server's base URL, or absolute.

    Backends leave `url` empty for services that the Jupyter server proxies (`Backend.open_service`); `path` is where it
    opens below that. `state` is "not started", "starting", "ready" or "failed" since `since`, or "" if it is unknown;
    `ended` is the reason for which the service was ended, until it is started again. `arguments` are those with which it
    was started, `allowed_arguments` those that its backend takes. One with `new_tab` opens in a
    browser tab, others in a tab of JupyterLab.
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
    new_tab: bool = True


class Container(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One member of a session: a ComputeContainer of Backend.AI."""

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
    """The state of a session, a row of every list. Unset optional fields are left out of the JSON.

    `age` and `cpu_credit_used` are in milliseconds. `limits` describes how each resource is limited; `survives` tells what
    the session outlives; an `owned` session was created for a notebook (at `notebook_path`, by the process `owner`) and
    ends with it; `expected_at` is when a waiting session is expected to start, and a `hopeless` one can never start;
    `ends_why` is why a session ends at `ends_at`, or has ended: one of `ENDS_WHY`, or None for any other reason, which
    is in `status_info`. `here` is true for the session that the program runs in which says so. `extra` holds what a backend reports besides.
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
    here: bool = False
    expected_at: datetime | None = None
    hopeless: bool = False
    extra: dict[str, Any] = {}

    @property
    def live(self) -> bool:
        """Whether the session has not ended."""
        return is_live(self.status)

    @property
    def settled(self) -> bool:
        """Whether the wait for a start is over: it runs, has failed or ended, or can never start."""
        return self.status in USABLE or self.status == "ERROR" or not self.live or self.hopeless

    def list_fingerprint(self) -> tuple[object, ...]:
        """Return what lists show of the session, without measurements, which change all the time."""
        services = [(one.name, one.url, one.state, one.since, one.ended) for one in self.services]
        state = (self.status, self.status_info, self.status_changed, self.ends_at, self.ends_why)
        return (*state, self.expected_at, self.hopeless, self.name, self.resources, services)

    @property
    def ref(self) -> str:
        """The reference to the session for people: "backend/name"."""
        return f"{self.backend}/{self.name}"


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event of a session in its backend's words; `when` is None if the time is unknown."""

    what: str
    when: datetime | None = None


class Image(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An environment or image that a backend offers; `resources` are its minimum.

    `types` are the session types it is for, the usual one first; empty if it is for all types.
    """

    name: str
    title: str = ""
    language: str = ""
    aliases: list[str] = []
    resources: dict[str, str] = {}
    types: list[str] = []


class Amount(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The total and the free amount of a slot of a backend.

    `most` is the most for one session if that is less, as on the largest of several machines. `device` is the amount of
    one whole device where devices are divided into shares.
    """

    total: str
    free: str
    most: str | None = None
    device: str | None = None


class Size(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A named choice of amounts; `fits` if there is room for it now. `shared_memory` is written as "64m"."""

    name: str
    resources: dict[str, str]
    shared_memory: str | None = None
    fits: bool = True


class Folder(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A folder that sessions may mount; an `automatic` folder is mounted in every session."""

    name: str
    read_only: bool = False
    automatic: bool = False


class Group(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A resource group: a partition or queue of a cluster.

    `most` is what one session can have there of each slot, where that is limited, and `longest` how many seconds it
    may run.
    """

    name: str
    most: dict[str, str] = {}
    longest: float | None = None


class Choices(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The choices for a session besides its image; `groups` are resource groups."""

    sizes: list[Size] = []
    groups: list[Group] = []
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
        """Check a name. Errors: InvalidRequest if it breaks the rule."""
        if not re.fullmatch(self.pattern, name, re.ASCII):
            raise InvalidRequest(f"'{name}' is not a valid session name.", hint=self.message, field="name")


class Endpoint(msgspec.Struct, frozen=True):
    """The address of a service: the path of a unix socket, or a URL on loopback.

    A service `at_root` gets paths without the one under which browsers see it. A service with a `base_url` uses that path,
    which the proxy translates in its pages (`wire.proxy.rebase`). A unix socket that `hands_over` belongs not to the
    service but to the manager, which gives each client a verified connection to the service (`wire.descriptors`), because
    any user of the machine may listen on a port. Connections to a URL are not verified. `headers` are header fields for
    each request to the service.
    """

    socket: str | None = None
    url: str | None = None
    at_root: bool = False
    base_url: str | None = None
    hands_over: bool = False
    headers: dict[str, str] = {}


class KernelConnection(msgspec.Struct, frozen=True, kw_only=True):
    """The connection of a session's kernel. It holds a secret, the key that signs messages.

    Source: "Making kernels for Jupyter", connection files. With ipc, the paths of the sockets are "IP-PORT".
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
