"""Changes of a session that leave its status as it is, as values; `machine` makes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from jupyter_sessions.manager.core.cluster import MemberRecord
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.transitions import Transition
from jupyter_sessions.manager.runtime.process import Process
from jupyter_sessions.wire.identity import Identity

# What people and notebooks ask for.


class Enqueued(Transition, frozen=True):
    """A session is new, and its members' kernels have these keys."""

    kernel_keys: list[str]
    sources = ("PENDING",)

    def change(self, record: Record) -> None:
        """Note the keys, and since when it waits."""
        for rank, key in enumerate(self.kernel_keys):
            record.member(rank).kernel_key = key
        record.stamp()

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it is in the queue."""
        return ("session_enqueued",)


class Waits(Transition, frozen=True):
    """A session waits for something else than before; that changes for many at a time."""

    reason: str
    sources = ("PENDING",)
    stored = False

    def change(self, record: Record) -> None:
        """Note what it waits for."""
        record.status_info, record.changed = self.reason, datetime.now(UTC)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it waits."""
        return ("session_waiting",)


class DependenciesMet(Transition, frozen=True):
    """Sessions that a waiting one depends on have succeeded."""

    ids: list[str]
    sources = ("PENDING",)

    def change(self, record: Record) -> None:
        """Note them."""
        record.met = [*record.met, *self.ids]


class Renamed(Transition, frozen=True):
    """A session is called otherwise."""

    name: str

    def change(self, record: Record) -> None:
        """Note the name."""
        record.name = self.name

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it has another name."""
        return ("session_renamed",)


class EnvironSet(Transition, frozen=True):
    """Processes that start from now on get more variables."""

    environ: dict[str, str]

    def change(self, record: Record) -> None:
        """Add the variables."""
        record.environ = record.environ | self.environ


class Hidden(Transition, frozen=True):
    """A session that has ended is not to be shown on the Skaha face any more."""

    def change(self, record: Record) -> None:
        """Hide it."""
        record.hidden = True


class Used(Transition, frozen=True):
    """Somebody asked a session for something."""

    stored = False

    def change(self, record: Record) -> None:
        """Count it."""
        record.num_queries += 1


class ServiceUsed(Used, frozen=True):
    """Somebody asked for a service of a session."""

    stored = True


class Claimed(Transition, frozen=True):
    """A notebook is connected to a session, and `owner` has it from now on if given.

    It waits until the moment `start_by` for its start.
    """

    owner: Identity | None = None
    start_by: datetime | None = None

    def change(self, record: Record) -> None:
        """Note the notebook."""
        record.notebook = True
        record.num_queries += 1
        if self.owner is not None:
            record.owner, record.start_by = self.owner, self.start_by


# Its time.


class LimitCounted(Transition, frozen=True):
    """The time limit of a session counts from a moment, in seconds of `expiry.Clock`."""

    limit_from: float

    def change(self, record: Record) -> None:
        """Note the moment."""
        record.limit_from = self.limit_from


class Renewed(Transition, frozen=True):
    """The clocks of a session begin again, that of the time limit from a moment if one counts."""

    limit_from: float | None = None

    def change(self, record: Record) -> None:
        """Note the moment."""
        record.limit_from = record.limit_from if self.limit_from is None else self.limit_from

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it was renewed."""
        return ("session_renewed",)


class Warned(Transition, frozen=True):
    """The end of a session's time has come near, or is not near any more."""

    stored = False

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the warning."""
        return ("session_warning",)


# Its processes. The main member's row is the session's record; see `Record.member`.


class MemberChange(Transition, frozen=True):
    """A change of one member of a session, by its rank."""

    of: int

    @property
    def rank(self) -> int:
        """Return the member's rank."""
        return self.of

    def _sub(self, record: Record) -> MemberRecord:
        return record.subs[self.of - 1]


class Started(MemberChange, frozen=True):
    """The main process of a member was started; its members had used `cpu_ms` before."""

    process: Process
    cpu_ms: int = 0
    sources = ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING", "TERMINATING")

    def change(self, record: Record) -> None:
        """Note the process, beside which nothing else runs yet."""
        row = record.member(self.of)
        row.process, row.service_processes, row.cpu_ms_at_launch = self.process, {}, self.cpu_ms
        if isinstance(row, MemberRecord):
            row.move("PREPARING")
        else:
            record.to_restart = False

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that the member is being created."""
        return ("kernel_creating",)


class TakenOver(MemberChange, frozen=True):
    """The main process of a member was found by another manager; a restart begins again."""

    process: Process

    def change(self, record: Record) -> None:
        """Note the process."""
        record.member(self.of).process = self.process
        record.to_restart = record.status == "RESTARTING"


class MemberReady(MemberChange, frozen=True):
    """A further member of a cluster answers."""

    def change(self, record: Record) -> None:
        """Note that it runs."""
        self._sub(record).move("RUNNING")

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it runs."""
        return ("kernel_started",)


class MemberEnded(MemberChange, frozen=True):
    """A further member of a cluster has ended, with an exit status if that is known and what it used last."""

    reason: str
    exit_code: int | None = None
    stat: dict[str, Any] | None = None

    def change(self, record: Record) -> None:
        """Note its end."""
        row = self._sub(record)
        row.exit_code, row.last_stat = self.exit_code, self.stat
        row.move("TERMINATED", self.reason)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it is gone."""
        return ("kernel_terminated",)


class Measured(MemberChange, frozen=True):
    """A member has used CPU time, in milliseconds."""

    cpu_ms: int
    stored = False

    def change(self, record: Record) -> None:
        """Note the time."""
        record.member(self.of).cpu_ms_before = self.cpu_ms


class PortsChosen(MemberChange, frozen=True):
    """The kernel of a member that cannot speak ipc listens at these ports."""

    ports: list[int]

    def change(self, record: Record) -> None:
        """Note the ports."""
        record.member(self.of).kernel_ports = self.ports


class ProcessNoted(MemberChange, frozen=True):
    """A process runs beside a member's main one; `service` is the name if it is a service."""

    key: str
    process: Process
    service: str = ""

    def change(self, record: Record) -> None:
        """Note the process."""
        record.member(self.of).service_processes[self.key] = self.process
        record.ended_services.pop(self.service, None)


class ProcessForgotten(MemberChange, frozen=True):
    """A process beside a member's main one has ended."""

    key: str

    def change(self, record: Record) -> None:
        """Forget the process."""
        record.member(self.of).service_processes.pop(self.key, None)


class ServiceEnded(Transition, frozen=True):
    """A service of a session was ended, for a reason."""

    name: str
    reason: str

    def change(self, record: Record) -> None:
        """Note why, for whoever opens it next."""
        record.ended_services[self.name] = self.reason


class LimitsNoted(Transition, frozen=True):
    """By what a session is held to what it asked for, in words for people."""

    limits: dict[str, str]

    def change(self, record: Record) -> None:
        """Note the means."""
        record.limits = self.limits


class TransportChosen(Transition, frozen=True):
    """The kernels of a session are reached in another way."""

    transport: str

    def change(self, record: Record) -> None:
        """Note the way."""
        record.launch = msgspec.structs.replace(record.launch, transport=self.transport)
