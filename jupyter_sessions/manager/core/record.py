"""One session as the manager knows it. Its changes are made by `machine`, nowhere else."""

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
from jupyter_sessions.manager.runtime.ending import describe_exit
from jupyter_sessions.manager.runtime.launch import Process
from jupyter_sessions.model import USABLE, is_live
from jupyter_sessions.wire.environment import Launch
from jupyter_sessions.wire.identity import Identity

_ENDED = {"TERMINATED", "CANCELLED"}


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Everything kept of a session and of its main member.

    `slots` are the amounts asked for by all members together, memory in bytes; each has the same.

    `bounds` are the most that all sessions of who asked for it may have together, where that is less than the machine,
    and `allowed_gpus` the devices that it may be given, None for any.

    `cpu_ms_before` is the CPU time used so far when last looked at, `cpu_ms_at_launch` that of the
    processes that restarts ended. `exit_code` is that of the main process, or the negative number of
    the signal that killed it. `kernel_key` signs the messages of its kernel, `kernel_ports`
    are those of one that cannot speak ipc. `owner` is the process for whose sake it exists, `notebook` tells whether
    one was ever connected to it, `notebook_path` which one it is for, and `start_by` how long that waits
    for it; `restarts` counts those of its kernel, whoever wanted them. `dependencies` are ids, `met` those
    of them that have succeeded; `idle_timeout` and `time_limit` are seconds, 0 for none, and `limit_from`
    is the moment from which the limit counts (`expiry.Clock.seconds`).

    `end_reason` says why it is being ended, from the moment at which that is decided: its status tells once its
    processes are gone. `to_restart` is true while the process that runs is to make way for another.

    `skaha_name` is what it is called on the Skaha face, if it was made there; `hidden` says that it was
    deleted there after its end.
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
    ended_services: dict[str, str] = {}
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
    result: str = "UNDEFINED"
    skaha_name: str = ""
    hidden: bool = False

    # What it waits for, whom it tells, and when it ends; see waiting, callbacks and expiry.
    dependencies: list[str] = []
    met: list[str] = []
    starts_at: datetime | None = None
    callback_url: str | None = None
    idle_timeout: float = 0
    time_limit: float = 0
    limit_from: float | None = None

    @property
    def batch(self) -> bool:
        """Whether its main process is a command and not a kernel."""
        return self.type == "batch"

    @property
    def role(self) -> str:
        """What its main member is in the cluster."""
        return "main"

    @property
    def rank(self) -> int:
        """The place of its main member among all."""
        return 0

    @property
    def size(self) -> int:
        """How many members it has."""
        return 1 + len(self.subs)

    @property
    def member_slots(self) -> dict[str, Decimal]:
        """The amounts that each member has."""
        return {name: amount / self.size for name, amount in self.slots.items()}

    @property
    def member_ids(self) -> list[str]:
        """The identifiers of all members; the main one has the session's."""
        return [self.id, *(sub.id for sub in self.subs)]

    @property
    def processes(self) -> list[Process]:
        """The main processes and services of all members, as last started."""
        mains = [self.process, *(sub.process for sub in self.subs)]
        services = [self.service_processes, *(sub.service_processes for sub in self.subs)]
        return [one for one in mains if one] + [one for some in services for one in some.values()]

    @property
    def cpu_ms(self) -> int:
        """The CPU time of all members when last looked at."""
        return self.cpu_ms_before + sum(sub.cpu_ms_before for sub in self.subs)

    def gpus_of(self, rank: int) -> list[str]:
        """The devices of one member."""
        each = len(self.gpus) // self.size
        return self.gpus[rank * each : (rank + 1) * each]

    def why_self_ended(self) -> str:
        """Return why it ended when its main process did. The words of batch sessions: managers 23.09 to 26.8."""
        if self.result == "SUCCESS":
            return "task-done"
        return f"{'task-failed' if self.batch else 'self-terminated'}: {describe_exit(self.exit_code)}"

    @property
    def live(self) -> bool:
        """True until it has ended."""
        return is_live(self.status)

    @property
    def usable(self) -> bool:
        """True while code can run in it."""
        return self.status in USABLE

    @property
    def holds_slots(self) -> bool:
        """True while it counts against the capacity."""
        return self.status in ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING", "TERMINATING")

    def member(self, rank: int) -> Record | MemberRecord:
        """Return what is kept of a member: of the main one, whose rank is 0, the session's record itself."""
        return self.subs[rank - 1] if rank else self

    def enter(self, status: str, info: str = "") -> None:
        """Note another status, and why; whether the move exists is for the machine to say."""
        self.status, self.status_info = status, info
        if status in ("ERROR", *_ENDED):
            for sub in self.subs:
                sub.end(info)
        self.stamp()

    def stamp(self) -> None:
        """Note that the status was entered just now."""
        self.changed = datetime.now(UTC)
        self.history[self.status] = self.changed
        if self.status == "RUNNING" and self.started is None:
            self.started = self.changed
        if self.status in _ENDED:
            self.ended = self.changed

    def age_ms(self, now: datetime | None = None) -> int:
        """Milliseconds since it first ran, up to its end."""
        if self.started is None:
            return 0
        return int(((self.ended or now or datetime.now(UTC)) - self.started).total_seconds() * 1000)


def socket_folder(session_id: str) -> str:
    """Return the name of the folder of a session's sockets; short, for a path has 107 bytes at most.

    It tells nothing of the id: command lines hold it, which every user of the machine may read.
    """
    return hashlib.sha256(f"sockets of {session_id}".encode()).hexdigest()[:13]


def folder_of(state_folder: Path, id: str) -> str:
    """Where a session's files are kept."""
    return os.fspath(state_folder / "sessions" / id)


def lost_record(id: str, name: str, access_key: str, folder: str, changed: datetime) -> Record:
    """What is said of a session of which nothing else is known any more: that it has ended."""
    return Record(
        id=id,
        name=name,
        image="",
        access_key=access_key,
        slots={"cpu": Decimal(0), "mem": Decimal(0)},
        launch=Launch(argv=[], env={}, cwd=folder),
        folder=folder,
        status="TERMINATED",
        status_info="what was kept of it is damaged",
        created=changed,
        changed=changed,
        ended=changed,
    )
