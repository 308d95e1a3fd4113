"""The record of one session. Only `machine` changes it."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from jupyter_sessions.manager.core.cluster import MemberRecord
from jupyter_sessions.manager.core.mounts import Mount
from jupyter_sessions.manager.core.services import ServiceDefinition, ServiceState
from jupyter_sessions.manager.runtime.ending import describe_exit
from jupyter_sessions.manager.runtime.launch import Process
from jupyter_sessions.model import USABLE, ServiceRequest, is_live
from jupyter_sessions.wire.environment import Launch
from jupyter_sessions.wire.identity import Identity

_ENDED = {"TERMINATED", "CANCELLED"}


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Everything stored about a session and its main member.

    `slots` are the requested amounts of all members together, memory in bytes; every member has an equal share.

    `bounds` are the most that all sessions of the same requester may have together, where that is less than the
    machine has; `allowed_gpus` are the devices it may be given, None for any.

    `cpu_ms_before` is the CPU time at the last measurement, `cpu_ms_at_launch` the CPU time of the processes before the
    last restart. `exit_code` is the exit code of the main process, or the negative number of the signal that killed it.
    `kernel_key` signs the messages of the kernel; `kernel_ports` are the TCP ports of a kernel that cannot use ipc.
    `owner` is the process whose lease keeps the session alive, `notebook` is true once a notebook was connected,
    `notebook_path` names the notebook, and `start_by` is the moment until which the notebook waits for the start.
    `restarts` counts all restarts of the kernel. `dependencies` are ids, and `met` the ids of those that have
    succeeded. `idle_timeout` and `time_limit` are seconds, 0 for none; `limit_from` is the moment from which the
    time limit counts (`expiry.Clock.seconds`).

    `secrets` are names of variables whose values are not stored (`secret_values`), and
    `notify` are the targets of messages (`message_targets`).

    `end_reason` says why the session ends, as soon as that is decided; the status follows once its processes are gone.
    `to_restart` is true while the running process is about to be replaced.

    `skaha_name` is its name in the Skaha API, if it was created there; `hidden` is true if it was deleted there
    after its end.
    """

    name: str
    image: str
    access_key: str
    slots: dict[str, Decimal]
    launch: Launch
    folder: str
    id: str = msgspec.field(default_factory=lambda: str(uuid4()))
    type: str = "interactive"
    status: str = "PENDING"
    status_info: str = ""
    history: dict[str, datetime] = {}
    changed: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    created: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    bounds: dict[str, Decimal] = {}
    allowed_gpus: list[str] | None = None
    environ: dict[str, str] = {}
    secrets: list[str] = []
    notify: list[str] = []
    resource_opts: dict[str, Any] = {}
    tag: str | None = None
    group: str = "default"
    domain: str = "default"
    user_email: str = ""
    gpus: list[str] = []
    limits: dict[str, str] = {}
    kernel_key: str = ""
    kernel_ports: list[int] = []
    process: Process | None = None
    service_processes: dict[str, Process] = {}
    services: dict[str, ServiceState] = {}
    plugins: dict[str, ServiceDefinition] = {}
    exit_code: int | None = None
    cpu_ms_before: int = 0
    cpu_ms_at_launch: int = 0
    last_stat: dict[str, Any] | None = None
    num_queries: int = 0
    owner: Identity | None = None
    notebook: bool = False
    notebook_path: str = ""
    start_by: datetime | None = None
    restarts: int = 0
    end_reason: str = ""
    to_restart: bool = False
    cluster_mode: str = "single-node"
    subs: list[MemberRecord] = []
    startup_command: str | None = None
    bootstrap_script: str | None = None
    mounts: list[Mount] = []
    preopen_ports: list[int] = []
    startup_services: list[ServiceRequest] = []
    result: str = "UNDEFINED"
    skaha_name: str = ""
    hidden: bool = False

    # See dependencies, callbacks and expiry.
    dependencies: list[str] = []
    met: list[str] = []
    starts_at: datetime | None = None
    callback_url: str | None = None
    idle_timeout: float = 0
    time_limit: float = 0
    limit_from: float | None = None

    @property
    def batch(self) -> bool:
        """Whether the main process is a command instead of a kernel."""
        return self.type == "batch"

    @property
    def role(self) -> str:
        """The role of the main member in the cluster."""
        return "main"

    @property
    def rank(self) -> int:
        """The rank of the main member."""
        return 0

    @property
    def size(self) -> int:
        """The number of members."""
        return 1 + len(self.subs)

    @property
    def member_slots(self) -> dict[str, Decimal]:
        """The slots of each member."""
        return {name: amount / self.size for name, amount in self.slots.items()}

    @property
    def member_ids(self) -> list[str]:
        """The ids of all members; the main member has the session's id."""
        return [self.id, *(sub.id for sub in self.subs)]

    @property
    def processes(self) -> list[Process]:
        """The main processes and services of all members, as started last."""
        mains = [self.process, *(sub.process for sub in self.subs)]
        services = [self.service_processes, *(sub.service_processes for sub in self.subs)]
        return [one for one in mains if one] + [one for some in services for one in some.values()]

    @property
    def cpu_ms(self) -> int:
        """The CPU time of all members at the last measurement."""
        return self.cpu_ms_before + sum(sub.cpu_ms_before for sub in self.subs)

    def gpus_of(self, rank: int) -> list[str]:
        """Return the devices of one member."""
        each = len(self.gpus) // self.size
        return self.gpus[rank * each : (rank + 1) * each]

    def why_self_ended(self) -> str:
        """Return the reason for an end that the main process caused. Source of batch reasons: managers 23.09 to 26.8."""
        if self.result == "SUCCESS":
            return "task-done"
        return f"{'task-failed' if self.batch else 'self-terminated'}: {describe_exit(self.exit_code)}"

    @property
    def live(self) -> bool:
        """Whether the session has not ended."""
        return is_live(self.status)

    @property
    def usable(self) -> bool:
        """Whether code can run in the session."""
        return self.status in USABLE

    @property
    def holds_slots(self) -> bool:
        """Whether the session counts against the capacity."""
        return self.status in ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING", "TERMINATING")

    def member(self, rank: int) -> Record | MemberRecord:
        """Return the record of a member; the main member, of rank 0, shares the session's record."""
        return self.subs[rank - 1] if rank else self

    def enter(self, status: str, info: str = "") -> None:
        """Set the status and its reason. The machine has checked that the transition exists."""
        self.status, self.status_info = status, info
        if status in ("ERROR", *_ENDED):
            for sub in self.subs:
                sub.end(info)
        self.stamp()

    def stamp(self) -> None:
        """Record that the status was entered now."""
        self.changed = datetime.now(UTC)
        self.history[self.status] = self.changed
        if self.status == "RUNNING" and self.started is None:
            self.started = self.changed
        if self.status in _ENDED:
            self.ended = self.changed

    def age_ms(self, now: datetime | None = None) -> int:
        """Return the milliseconds from the first start to the end, or until now."""
        if self.started is None:
            return 0
        return int(((self.ended or now or datetime.now(UTC)) - self.started).total_seconds() * 1000)


def socket_folder(session_id: str) -> str:
    """Return the name of a session's socket folder, short because a socket's path has at most 107 bytes.

    The name does not reveal the id: it appears in command lines, which every user of the machine can read.
    """
    return hashlib.sha256(f"sockets of {session_id}".encode()).hexdigest()[:13]


def folder_of(state_folder: Path, id: str) -> str:
    """Return the path of a session's folder."""
    return os.fspath(state_folder / "sessions" / id)


def lost_record(id: str, name: str, access_key: str, folder: str, changed: datetime) -> Record:
    """Return the record of an ended session whose own record is lost."""
    return Record(
        id=id,
        name=name,
        image="",
        access_key=access_key,
        slots={"cpu": Decimal(0), "mem": Decimal(0)},
        launch=Launch(argv=[], env={}, cwd=folder),
        folder=folder,
        status="TERMINATED",
        status_info="its record is damaged",
        created=changed,
        changed=changed,
        ended=changed,
    )
