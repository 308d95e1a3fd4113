"""The transitions of a session from one status to another, as values; `machine` draws and applies them."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from jupyter_sessions.manager.core.record import Record

USER_REQUESTED = "user-requested"


class Transition(msgspec.Struct, frozen=True):
    """A change of a session, possible in the statuses `sources` (in any if empty), which leads to `target`.

    A change that is not `stored` is too frequent to be written each time, and the next manager can find it out by
    itself; it is written together with the next stored change.
    """

    sources: ClassVar[tuple[str, ...]] = ()
    target: ClassVar[str] = ""
    stored: ClassVar[bool] = True

    def change(self, record: Record) -> None:
        """Apply the change to a session's record."""

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the names of the events to publish, if any."""
        return ()

    @property
    def rank(self) -> int:
        """Return the rank of the member that the events are about; 0 is the main one."""
        return 0


class Scheduled(Transition, frozen=True):
    """A session may start, on these GPUs."""

    gpus: list[str] = []
    sources = ("PENDING",)
    target = "PREPARING"

    def change(self, record: Record) -> None:
        """Set the GPUs."""
        record.gpus = self.gpus
        record.enter(self.target)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the events of the start of the session and its main member."""
        return "session_scheduled", "kernel_preparing"


class Requeued(Transition, frozen=True):
    """A session that an earlier manager was about to start waits again."""

    sources = ("PREPARING",)
    target = "PENDING"

    def change(self, record: Record) -> None:
        """Release the GPUs and forget what was decided."""
        record.process, record.gpus, record.end_reason = None, [], ""
        record.enter(self.target)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a queued session."""
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
        """Return the events of the cancelled session and its main member."""
        return "kernel_cancelled", "session_cancelled"


class Ready(Transition, frozen=True):
    """A session is ready to run code, for the first time or after a restart."""

    sources = ("PREPARING", "RESTARTING")
    target = "RUNNING"

    def change(self, record: Record) -> None:
        """Keep the reason of a restart that no user requested."""
        restarted = record.status == "RESTARTING" and record.status_info != USER_REQUESTED
        record.enter(self.target, record.status_info if restarted else "")

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the events of the running session and its main member."""
        return "kernel_started", "session_started"


class Degraded(Transition, frozen=True):
    """A session continues without something that it had."""

    reason: str
    sources = ("RUNNING", "RUNNING_DEGRADED")
    target = "RUNNING_DEGRADED"

    def change(self, record: Record) -> None:
        """Set the reason."""
        record.enter(self.target, self.reason)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a degraded session."""
        return ("session_degraded",)


class Restarting(Transition, frozen=True):
    """The processes of a session are being replaced."""

    reason: str
    sources = ("RUNNING", "RUNNING_DEGRADED")
    target = "RESTARTING"

    def change(self, record: Record) -> None:
        """Count the restart."""
        record.to_restart = True
        record.services = {name: state.stopped() for name, state in record.services.items()}
        record.restarts += 1
        record.enter(self.target, self.reason)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a restarting session."""
        return ("session_restarting",)


class Terminating(Transition, frozen=True):
    """A session is being terminated, or has ended by itself if there is no reason."""

    reason: str = ""
    sources = ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING", "ERROR")
    target = "TERMINATING"

    def change(self, record: Record) -> None:
        """Set the reason and rule out a restart."""
        record.to_restart = False
        record.end_reason = self.reason
        record.enter(self.target, self.reason or record.why_self_ended())

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the events of the terminating session, and of its main member unless that had failed before."""
        return "session_terminating", *([] if "ERROR" in record.history else ["kernel_terminating"])


class Terminated(Transition, frozen=True):
    """No process of a session runs any more; without a reason, the reason of Terminating stays."""

    reason: str = ""
    sources = ("TERMINATING",)
    target = "TERMINATED"

    def change(self, record: Record) -> None:
        """Set the status and the reason."""
        record.enter(self.target, self.reason or record.status_info)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the events of the ended session, and of its main member unless that had failed before."""
        return *([] if "ERROR" in record.history else ["kernel_terminated"]), "session_terminated"


class Failed(Transition, frozen=True):
    """A session could not be started or supervised."""

    reason: str
    exit_code: int | None = None
    sources = ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING")
    target = "ERROR"

    def change(self, record: Record) -> None:
        """Set the reason and the exit code."""
        record.exit_code = self.exit_code
        if record.batch:
            record.result = "FAILURE"
        record.enter(self.target, self.reason)

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event of a failed session."""
        return ("session_failure",)


class Exited(Transition, frozen=True):
    """The main process of a session has ended, with its exit status, if known, and its last usage.

    A batch session succeeds with exit status 0, unless it has `failed` for another reason.
    """

    exit_code: int | None
    stat: dict[str, Any] | None = None
    failed: bool = False
    sources = ("PREPARING", "RUNNING", "RUNNING_DEGRADED", "RESTARTING", "TERMINATING")

    def change(self, record: Record) -> None:
        """Set exit code, usage and result."""
        record.exit_code = self.exit_code
        record.last_stat = self.stat or record.last_stat
        if record.batch:
            record.result = "SUCCESS" if self.exit_code == 0 and not self.failed else "FAILURE"

    def events(self, record: Record) -> tuple[str, ...]:
        """Return the event that tells the result of a batch session."""
        return (f"session_{record.result.lower()}",) if record.batch else ()


class EndDecided(Transition, frozen=True):
    """The reason of a session's end is decided; the status follows once its processes are gone."""

    reason: str

    def change(self, record: Record) -> None:
        """Set the reason of the end."""
        record.end_reason = self.reason
