"""The moves of a session from one status to another, as values; `machine` draws them and makes them."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from jupyter_sessions.manager.core.record import Record

USER_REQUESTED = "user-requested"


class Transition(msgspec.Struct, frozen=True):
    """A change of a session. It is possible in the statuses `sources`, in any if there are none, and leads to `target`.

    One that is not `stored` changes what the next manager finds out by itself, too often to be written each time;
    it is stored with the next that is.
    """

    sources: ClassVar[tuple[str, ...]] = ()
    target: ClassVar[str] = ""
    stored: ClassVar[bool] = True

    def change(self, record: Record) -> None:
        """Make the change in a session's record."""

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the names of the events that tell of it; without any it is not published."""
        return ()

    @property
    def rank(self) -> int:
        """Return the rank of the member that the events are about; 0 is the main one."""
        return 0


class Scheduled(Transition, frozen=True):
    """There is room for a session, and it is given these GPUs."""

    gpus: list[str] = []
    sources = ("PENDING",)
    target = "PREPARING"

    def change(self, record: Record) -> None:
        """Note its GPUs."""
        record.gpus = self.gpus
        record.enter(self.target)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it and its main member begin."""
        return "session_scheduled", "kernel_preparing"


class Requeued(Transition, frozen=True):
    """A session that an earlier manager did not come to start waits again."""

    sources = ("PREPARING",)
    target = "PENDING"

    def change(self, record: Record) -> None:
        """Give back its GPUs, and begin as if nothing had been decided."""
        record.process, record.gpus, record.end_reason = None, [], ""
        record.enter(self.target)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it is in the queue."""
        return ("session_enqueued",)


class Cancelled(Transition, frozen=True):
    """A session ends before it started."""

    reason: str
    sources = ("PENDING",)
    target = "CANCELLED"

    def change(self, record: Record) -> None:
        """Note why."""
        record.enter(self.target, self.reason)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it and its main member are cancelled."""
        return "kernel_cancelled", "session_cancelled"


class Ready(Transition, frozen=True):
    """Code can run in a session, for the first time or after a restart."""

    sources = ("PREPARING", "RESTARTING")
    target = "RUNNING"

    def change(self, record: Record) -> None:
        """Keep why it was restarted, unless somebody asked for that."""
        restarted = record.status == "RESTARTING" and record.status_info != USER_REQUESTED
        record.enter(self.target, record.status_info if restarted else "")

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it and its main member run."""
        return "kernel_started", "session_started"


class Degraded(Transition, frozen=True):
    """A session goes on without something that it had."""

    reason: str
    sources = ("RUNNING", "RUNNING_DEGRADED")
    target = "RUNNING_DEGRADED"

    def change(self, record: Record) -> None:
        """Note what is missing."""
        record.enter(self.target, self.reason)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it is degraded."""
        return ("session_degraded",)


class Restarting(Transition, frozen=True):
    """The processes of a session make way for others."""

    reason: str
    sources = ("RUNNING", "RUNNING_DEGRADED")
    target = "RESTARTING"

    def change(self, record: Record) -> None:
        """Count the restart."""
        record.to_restart = True
        record.ended_services = {}
        record.restarts += 1
        record.enter(self.target, self.reason)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it restarts."""
        return ("session_restarting",)


class Terminating(Transition, frozen=True):
    """A session is being ended, or if there is no reason has ended by itself."""

    reason: str = ""
    sources = ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING", "ERROR")
    target = "TERMINATING"

    def change(self, record: Record) -> None:
        """Note why; nothing restarts it any more."""
        record.to_restart = False
        record.end_reason = self.reason
        record.enter(self.target, self.reason or record.why_self_ended())

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it is being ended, and its main member, unless that was gone before."""
        return "session_terminating", *([] if "ERROR" in record.history else ["kernel_terminating"])


class Terminated(Transition, frozen=True):
    """Nothing of a session runs any more; without a reason, that of its being ended stays."""

    reason: str = ""
    sources = ("TERMINATING",)
    target = "TERMINATED"

    def change(self, record: Record) -> None:
        """Note the end."""
        record.enter(self.target, self.reason or record.status_info)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that its main member is gone, unless it was before, and that it has ended."""
        return *([] if "ERROR" in record.history else ["kernel_terminated"]), "session_terminated"


class Failed(Transition, frozen=True):
    """A session could not be started, or not be looked after."""

    reason: str
    exit_code: int | None = None
    sources = ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING")
    target = "ERROR"

    def change(self, record: Record) -> None:
        """Note why, and how its main process ended."""
        record.exit_code = self.exit_code
        if record.batch:
            record.result = "FAILURE"
        record.enter(self.target, self.reason)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return that it has failed."""
        return ("session_failure",)


class Exited(Transition, frozen=True):
    """The main process of a session has ended, with an exit status if that is known and what it used last.

    A batch session succeeds with exit status 0, unless it has `failed` otherwise.
    """

    exit_code: int | None
    stat: dict[str, Any] | None = None
    failed: bool = False
    sources = ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING", "TERMINATING")

    def change(self, record: Record) -> None:
        """Note how it ended."""
        record.exit_code = self.exit_code
        record.last_stat = self.stat or record.last_stat
        if record.batch:
            record.result = "SUCCESS" if self.exit_code == 0 and not self.failed else "FAILURE"

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the result of a batch session."""
        return (f"session_{record.result.lower()}",) if record.batch else ()


class EndDecided(Transition, frozen=True):
    """It is clear why a session is going to end; its status tells once its processes are gone."""

    reason: str

    def change(self, record: Record) -> None:
        """Note the reason."""
        record.end_reason = self.reason
