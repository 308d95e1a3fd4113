"""Changes of a session that keep its status, as values; `machine` applies them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from jupyter_sessions.manager.core.cluster import MemberRecord
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.services import ServiceDefinition, ServiceState
from jupyter_sessions.manager.core.transitions import Transition
from jupyter_sessions.manager.runtime.process import Process
from jupyter_sessions.wire.identity import Identity

# Requests of people and notebooks.


class Enqueued(Transition, frozen=True):
    """A new session is in the queue; its members' kernels have these keys."""

    kernel_keys: list[str]
    sources = ("PENDING",)

    def change(self, record: Record) -> None:
        """Set the keys and the time at which the wait began."""
        for rank, key in enumerate(self.kernel_keys):
            record.member(rank).kernel_key = key
        record.stamp()

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a queued session."""
        return ("session_enqueued",)


class Waits(Transition, frozen=True):
    """The reason for which a session waits has changed; this happens to many sessions at a time."""

    reason: str
    sources = ("PENDING",)
    stored = False

    def change(self, record: Record) -> None:
        """Set the reason."""
        record.status_info, record.changed = self.reason, datetime.now(UTC)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a waiting session."""
        return ("session_waiting",)


class Preparing(Transition, frozen=True):
    """What a session does before its main process starts has changed."""

    info: str
    sources = ("PREPARING",)

    def change(self, record: Record) -> None:
        """Set the description."""
        record.status_info, record.changed = self.info, datetime.now(UTC)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a session that is prepared."""
        return ("kernel_preparing",)


class DependenciesMet(Transition, frozen=True):
    """Dependencies of a waiting session have succeeded."""

    ids: list[str]
    sources = ("PENDING",)

    def change(self, record: Record) -> None:
        """Add their ids to the met dependencies."""
        record.met = [*record.met, *self.ids]


class Renamed(Transition, frozen=True):
    """A session has a new name."""

    name: str

    def change(self, record: Record) -> None:
        """Set the name."""
        record.name = self.name

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a renamed session."""
        return ("session_renamed",)


class EnvironSet(Transition, frozen=True):
    """Later processes of a session get more environment variables."""

    environ: dict[str, str]
    secrets: list[str] = []

    def change(self, record: Record) -> None:
        """Add the variables, and the names of secret ones."""
        record.environ = record.environ | self.environ
        record.secrets = sorted({*record.secrets, *self.secrets})


class Hidden(Transition, frozen=True):
    """The Skaha API no longer lists an ended session."""

    def change(self, record: Record) -> None:
        """Hide the session."""
        record.hidden = True


class Used(Transition, frozen=True):
    """A session got a request."""

    stored = False

    def change(self, record: Record) -> None:
        """Count the request."""
        record.num_queries += 1


class ServiceUsed(Used, frozen=True):
    """A service of a session got a request."""

    stored = True


class Claimed(Transition, frozen=True):
    """A notebook is connected to a session; `owner`, if given, takes over the lease.

    The notebook waits until `start_by` for the session's start.
    """

    owner: Identity | None = None
    start_by: datetime | None = None

    def change(self, record: Record) -> None:
        """Set the notebook and its owner."""
        record.notebook = True
        record.num_queries += 1
        if self.owner is not None:
            record.owner, record.start_by = self.owner, self.start_by


# Timeouts.


class LimitCounted(Transition, frozen=True):
    """The time limit of a session counts from `limit_from`, in seconds of `expiry.Clock`."""

    limit_from: float

    def change(self, record: Record) -> None:
        """Note the moment."""
        record.limit_from = self.limit_from


class Renewed(Transition, frozen=True):
    """A session's idle timeout and time limit start over; `limit_from` is None if no time limit runs."""

    limit_from: float | None = None

    def change(self, record: Record) -> None:
        """Note the moment."""
        record.limit_from = record.limit_from if self.limit_from is None else self.limit_from

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a renewed session."""
        return ("session_renewed",)


class Warned(Transition, frozen=True):
    """A session is about to expire, or no longer is."""

    stored = False

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the warning."""
        return ("session_warning",)


# Processes. The main member's record is the session's record; see `Record.member`.


class MemberChange(Transition, frozen=True):
    """A change of one member of a session; `of` is its rank."""

    of: int

    @property
    def rank(self) -> int:
        """Return the member's rank."""
        return self.of

    def _sub(self, record: Record) -> MemberRecord:
        return record.subs[self.of - 1]


class Started(MemberChange, frozen=True):
    """The main process of a member was started; earlier processes had used `cpu_ms` of CPU time."""

    process: Process
    cpu_ms: int = 0
    sources = ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING", "TERMINATING")

    def change(self, record: Record) -> None:
        """Set the process and forget earlier services."""
        row = record.member(self.of)
        row.process, row.service_processes, row.cpu_ms_at_launch = self.process, {}, self.cpu_ms
        if isinstance(row, MemberRecord):
            row.move("PREPARING")
        else:
            record.to_restart = False

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a member being created."""
        return ("kernel_creating",)


class TakenOver(MemberChange, frozen=True):
    """A new manager has found the main process of a member; an unfinished restart starts over."""

    process: Process

    def change(self, record: Record) -> None:
        """Note the process."""
        record.member(self.of).process = self.process
        record.to_restart = record.status == "RESTARTING"


class MemberReady(MemberChange, frozen=True):
    """A sub member of a cluster answers."""

    def change(self, record: Record) -> None:
        """Set the member's status."""
        self._sub(record).move("RUNNING")

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a started member."""
        return ("kernel_started",)


class MemberEnded(MemberChange, frozen=True):
    """A sub member of a cluster has ended, with its exit status, if known, and its last usage."""

    reason: str
    exit_code: int | None = None
    stat: dict[str, Any] | None = None

    def change(self, record: Record) -> None:
        """Set the member's status, exit code and usage."""
        row = self._sub(record)
        row.exit_code, row.last_stat = self.exit_code, self.stat
        row.move("TERMINATED", self.reason)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of an ended member."""
        return ("kernel_terminated",)


class Measured(MemberChange, frozen=True):
    """The CPU time of a member, in milliseconds, was measured."""

    cpu_ms: int
    stored = False

    def change(self, record: Record) -> None:
        """Set the CPU time."""
        record.member(self.of).cpu_ms_before = self.cpu_ms


class PortsChosen(MemberChange, frozen=True):
    """The kernel of a member, which cannot use ipc, listens on these ports."""

    ports: list[int]

    def change(self, record: Record) -> None:
        """Set the ports."""
        record.member(self.of).kernel_ports = self.ports


class ProcessAdded(MemberChange, frozen=True):
    """A process was started beside a member's main process; `service` is its name if it is a service."""

    key: str
    process: Process

    def change(self, record: Record) -> None:
        """Note the process."""
        record.member(self.of).service_processes[self.key] = self.process


class ProcessRemoved(MemberChange, frozen=True):
    """A process beside a member's main process has ended."""

    key: str

    def change(self, record: Record) -> None:
        """Remove the process."""
        record.member(self.of).service_processes.pop(self.key, None)


class PluginsFound(Transition, frozen=True):
    """The service plug-ins of a session's environment are known, or have changed."""

    plugins: dict[str, ServiceDefinition]

    def change(self, record: Record) -> None:
        """Set the plug-ins."""
        record.plugins = self.plugins

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of changed services."""
        return ("session_services",)


class ServiceChanged(Transition, frozen=True):
    """A service of a session has another state."""

    name: str
    state: ServiceState

    def change(self, record: Record) -> None:
        """Set the state."""
        record.services[self.name] = self.state

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of changed services."""
        return ("session_services",)


class LimitsDescribed(Transition, frozen=True):
    """How the limits of a session are enforced, in words for people."""

    limits: dict[str, str]

    def change(self, record: Record) -> None:
        """Set the descriptions."""
        record.limits = self.limits


class TransportChosen(Transition, frozen=True):
    """The kernels of a session use another transport."""

    transport: str

    def change(self, record: Record) -> None:
        """Set the transport."""
        record.launch = msgspec.structs.replace(record.launch, transport=self.transport)
