"""One session as the manager knows it, and the moves it can make."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from jupyter_sessions.manager.runtime.launch import Process
from jupyter_sessions.model import USABLE, is_live
from jupyter_sessions.wire.environment import Launch
from jupyter_sessions.wire.identity import Identity

_ENDED = {"TERMINATED", "CANCELLED"}
_MOVES: dict[str, set[str]] = {
    "PENDING": {"PREPARING", "CANCELLED"},
    "PREPARING": {"RUNNING", "TERMINATING", "TERMINATED", "ERROR", "PENDING"},
    "RUNNING": {"RESTARTING", "TERMINATING", "TERMINATED", "ERROR"},
    "RESTARTING": {"RUNNING", "TERMINATING", "TERMINATED", "ERROR"},
    "ERROR": {"TERMINATING", "TERMINATED"},
    "TERMINATING": {"TERMINATED"},
}


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Everything kept of a session. `slots` are the amounts asked for, memory in bytes.

    `cpu_ms_before` is the CPU time used so far when last looked at, `cpu_ms_at_launch` that of the
    processes that restarts ended. `exit_code` is that of the main process, or the negative number of
    the signal that killed it. `owner` is the process for whose sake it exists, `notebook` tells whether
    one was ever connected to it, and `restarts` counts those of its kernel, whoever wanted them.
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
    status_data: dict[str, Any] | None = None
    history: dict[str, datetime] = {}
    changed: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    created: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
    started: datetime | None = None
    ended: datetime | None = None
    environ: dict[str, str] = {}
    resource_opts: dict[str, Any] = {}
    tag: str | None = None
    group: str = "default"
    domain: str = "default"
    gpus: list[str] = []
    limits: dict[str, str] = {}
    process: Process | None = None
    service_processes: dict[str, Process] = {}
    exit_code: int | None = None
    cpu_ms_before: int = 0
    cpu_ms_at_launch: int = 0
    last_stat: dict[str, Any] | None = None
    num_queries: int = 0
    owner: Identity | None = None
    notebook: bool = False
    restarts: int = 0

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
        return self.status in ("PREPARING", "RUNNING", "RESTARTING", "TERMINATING")

    def move(self, status: str, info: str = "") -> None:
        """Go to another status, saying why. Errors: ValueError for a move that does not exist."""
        if status not in _MOVES.get(self.status, set()):
            raise ValueError(f"{self.name} cannot go from {self.status} to {status}")
        self.status, self.status_info = status, info
        self.stamp()

    def stamp(self) -> None:
        """Note that the status, or the reason for it, changed just now."""
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
    """The name of the folder of a session's sockets; short, for a path has 107 bytes at most."""
    return session_id[:13]


def folder_of(state_folder: Path, id: str) -> str:
    """Where a session's files are kept."""
    return os.fspath(state_folder / "sessions" / id)
