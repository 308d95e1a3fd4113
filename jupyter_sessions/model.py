"""The vocabulary: what a session is asked to be, and what it is.

`SessionSpec` joins the create parameters of the Backend.AI session API (seed 000) and of Skaha's
client (seed 004); `SessionInfo` joins what both of them, the monitoring API (seed 002) and the
command line (seed 003) report. Every face and every backend speaks in these.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
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


def is_live(status: str) -> bool:
    """True for every status, known or not, of a session that has not ended."""
    return status not in DEAD


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


# --- amounts -------------------------------------------------------------------------------------

_UNITS = {unit: 1024**power for power, unit in enumerate("bkmgtpe")}
_SIZE = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*([bkmgtpe]?)(?:i?b|i?bytes)?", re.ASCII | re.IGNORECASE)
MEMORY_SLOTS = frozenset({"mem", "shmem"})
GPU_SLOT = "cuda.device"
_SLOT_ALIASES = {"cuda.devices": GPU_SLOT, "memory": "mem", "cpus": "cpu"}


def parse_size(value: object, *, field: str = "mem", unit: str = "b") -> int:
    """Bytes in "512m", "1.5 GiB", "4gb" or a number of `unit`; suffixes are binary in any case.

    Errors: InvalidRequest for anything else, and for amounts that are no whole number of bytes.
    """
    hint = "Give a size such as 512m or 4g."
    match = _SIZE.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if match is None:
        raise InvalidRequest(f"{field}: '{value}' is no amount of memory.", hint=hint, field=field)
    amount = Decimal(match[1].replace("_", "")) * _UNITS[(match[2] or unit).lower()]
    if amount != amount.to_integral_value():
        raise InvalidRequest(f"{field}: '{value}' is no whole number of bytes.", hint=hint, field=field)
    if not 0 < amount < 2**63:
        raise InvalidRequest(
            f"{field}: '{value}' must be more than nothing and less than 8 EiB.", hint=hint, field=field
        )
    return int(amount)


def format_size(size: int) -> str:
    """The shortest exact spelling of a number of bytes: "512m", "3g", "1000" (bytes)."""
    for power in range(6, 0, -1):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{'bkmgtpe'[power]}"
    return str(size)


def human_size(size: float) -> str:
    """A number of bytes for people, in binary units with three digits: "512 MiB", "1.46 GiB"."""
    if size < 1024:
        return f"{size:.0f} bytes"
    power = min(int(math.log2(size) // 10), 6)
    return f"{size / 1024**power:.3g} {'KMGTPE'[power - 1]}iB"


def parse_count(value: object, *, field: str) -> Decimal:
    """A positive number of CPUs or devices.

    Errors: InvalidRequest for zero, negative, infinite or unreadable amounts.
    """
    hint = f"Give a number above 0, for example {field}=1."
    try:
        amount = Decimal(str(value).strip()) if not isinstance(value, bool) else Decimal("nan")
    except InvalidOperation:
        amount = Decimal("nan")
    if not amount.is_finite():
        raise InvalidRequest(f"{field}: '{value}' is no number.", hint=hint, field=field)
    if amount <= 0 or amount > 10**6:
        raise InvalidRequest(f"{field}: '{value}' is not between 0 and a million.", hint=hint, field=field)
    return amount


def parse_slots(resources: dict[str, Any], *, unit: str = "b") -> dict[str, Decimal]:
    """Amounts by slot name; memory in bytes. A zero GPU request means none.

    Errors: InvalidRequest that names the slot.
    """
    slots: dict[str, Decimal] = {}
    for key, value in resources.items():
        name = _SLOT_ALIASES.get(key, key)
        if name in slots:
            raise InvalidRequest(f"{key}: '{name}' is given twice.", hint="Give it once.", field=name)
        if value is None or (name not in ("cpu", "mem") and str(value).strip() in ("0", "")):
            continue
        if name in MEMORY_SLOTS:
            slots[name] = Decimal(parse_size(value, field=name, unit=unit))
        else:
            slots[name] = parse_count(value, field=name)
    return slots


def format_number(amount: Decimal) -> str:
    """A decimal without exponent or needless zeros: "1", "0.5", "10"."""
    return f"{amount.normalize():f}"


def format_slots(slots: dict[str, Decimal]) -> dict[str, str]:
    """The spelling of amounts that every face shows: {"cpu": "1", "mem": "512m"}."""
    return {
        name: format_size(int(amount)) if name in MEMORY_SLOTS else format_number(amount)
        for name, amount in slots.items()
    }


def slot_label(name: str, amount: Decimal) -> str:
    """An amount of a slot in words: "2 CPU", "512 MiB", "1 GPU", "3 tpu.device"."""
    if name in MEMORY_SLOTS:
        return human_size(float(amount))
    word = {"cpu": "CPU", GPU_SLOT: "GPU", "cuda.shares": "GPU share"}.get(name, name)
    return f"{format_number(amount)} {word}"


# --- what is asked for ---------------------------------------------------------------------------


class ProcessId(msgspec.Struct, frozen=True):
    """One process for all time. `start_time` is in clock ticks since boot (ms since 1970 off Linux)."""

    pid: int
    start_time: int
    boot_id: str
    pid_ns: int


class SessionSpec(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a session is asked to be; what is left out is the backend's to fill in.

    Times are ISO 8601 or relative ("5m"), waits in seconds, `idle_timeout` and `time_limit` in
    seconds with 0 for none. Field meanings: seed 000, "Creating Session", and seed 004, `create`.
    A session with an `owner` ends some time after that process has.
    """

    backend: str | None = None
    name: str | None = None
    image: str | None = None
    preset: str | None = None
    type: str = "interactive"
    resources: dict[str, str | int | float | None] = {}
    resource_opts: dict[str, Any] = {}
    environ: dict[str, str] = {}
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
    tag: str | None = None
    starts_at: str | None = None
    startup_command: str | None = None
    bootstrap_script: str | None = None
    dependencies: list[str] = []
    callback_url: str | None = None
    owner_access_key: str | None = None
    priority: int | None = None
    batch_timeout: str | None = None
    replicas: int = 1
    idle_timeout: float | None = None
    time_limit: float | None = None
    owner: ProcessId | None = None


# --- what it is ----------------------------------------------------------------------------------


class Service(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A service port. `url` is relative to the Jupyter server's base URL, or absolute."""

    name: str
    protocol: str = "http"
    url: str = ""
    ports: list[int] = []


class Container(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One member of a session (seed 002, ComputeContainer)."""

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


class SessionInfo(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a session is: one row of every list. Unset optional fields are left out of the JSON.

    `age` and `cpu_credit_used` are milliseconds, `time_left` seconds; `limits` names the means that
    enforce each resource, `survives` says what the session outlives, and `extra` keeps whatever
    a backend reports that has no field here.
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
    reused: bool = False
    extra: dict[str, Any] = {}

    @property
    def live(self) -> bool:
        """True until the session has ended."""
        return is_live(self.status)

    def face(self) -> tuple[object, ...]:
        """What a list shows of it; measurements that change all the time are left out."""
        services = [(service.name, service.url) for service in self.services]
        return (self.status, self.status_info, self.status_changed, self.name, self.resources, services)

    @property
    def ref(self) -> str:
        """How people write it: "backend/name"."""
        return f"{self.backend}/{self.name}"


class Image(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An environment or image a backend offers; resources given are its minimum."""

    name: str
    title: str = ""
    language: str = ""
    aliases: list[str] = []
    resources: dict[str, str] = {}


class Amount(msgspec.Struct, kw_only=True):
    """How much of a slot a backend has in all, and how much of it is free now."""

    total: str
    free: str


class NameRule(msgspec.Struct, frozen=True):
    """A backend's rule for session names: a pattern, and the same in words."""

    pattern: str
    message: str

    def check(self, name: str) -> None:
        """Errors: InvalidRequest for a name that breaks the rule."""
        if not re.fullmatch(self.pattern, name, re.ASCII):
            raise InvalidRequest(
                f"name: '{name}' cannot be a session's name.", hint=self.message, field="name"
            )


class Endpoint(msgspec.Struct, frozen=True):
    """Where a service listens: the path of a unix socket, or a URL on loopback."""

    socket: str | None = None
    url: str | None = None


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
