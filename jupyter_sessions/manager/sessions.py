"""All sessions of this manager: create, schedule, supervise and find them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jupyter_sessions.errors import InvalidRequest, NotRunning
from jupyter_sessions.manager.core.callbacks import Callbacks
from jupyter_sessions.manager.core.changes import Claimed, Renamed, TakenOver
from jupyter_sessions.manager.core.events import Bus
from jupyter_sessions.manager.core.expiry import Activity, Clock, ExpiryWatcher
from jupyter_sessions.manager.core.leases import Leases
from jupyter_sessions.manager.core.machine import SessionMachine
from jupyter_sessions.manager.core.notifications import SessionNotifications
from jupyter_sessions.manager.core.record import Record, socket_folder
from jupyter_sessions.manager.core.recovery import find_process, why_lost
from jupyter_sessions.manager.core.secret_values import SecretValues
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.manager.core.tasks import Tasks
from jupyter_sessions.manager.core.transitions import (
    USER_REQUESTED,
    Cancelled,
    Degraded,
    Exited,
    Requeued,
    Scheduled,
    Terminated,
    Terminating,
    Transition,
)
from jupyter_sessions.manager.endpoints.kernel_endpoint import SessionEndpoint
from jupyter_sessions.manager.endpoints.kernel_info import KernelInfos
from jupyter_sessions.manager.endpoints.kernel_link import connect_to
from jupyter_sessions.manager.run.plugins import PluginFinder
from jupyter_sessions.manager.run.supervisor import SessionSupervisor, SupervisorContext
from jupyter_sessions.manager.runtime.base import Runtime
from jupyter_sessions.manager.runtime.launch import Process
from jupyter_sessions.manager.schedule.scheduler import SessionScheduler
from jupyter_sessions.manager.session_index import SessionIndex
from jupyter_sessions.manager.settings import ManagerSettings
from jupyter_sessions.model import NameRule, standing
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.identity import Host, Identity

log = logging.getLogger("jupyter_sessions")

NAME_RULE = NameRule(
    r"(?!(create|from-template)$)(?=.{4,64}$)\w[\w.-]*\w",
    "Use 4 to 64 letters, digits, '.', '_' or '-', beginning and ending with a letter, digit or '_'; "
    "but not 'create' or 'from-template', which mean something else in addresses.",
)


class SessionManager(SessionIndex):
    """Connects the store, the scheduler and the supervisors of running sessions."""

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        settings: ManagerSettings,
        runtime: Runtime,
        run_folder: Path,
        state_folder: Path,
        on_live: Callable[[bool], None] = lambda live: None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(store, SessionMachine(store, bus), state_folder)
        self.machine.listen(self._on_change)
        self.bus = bus
        self.capacity, self.folders = settings.capacity, settings.folders
        self.secrets = SecretValues()
        self._on_live = on_live
        self._runtime = runtime
        self._supervisors: dict[str, SessionSupervisor] = {}
        self._endpoints: dict[str, SessionEndpoint] = {}
        self._infos = KernelInfos()
        self._tasks = Tasks()
        self._callbacks = Callbacks()
        self._smtp = settings.smtp
        self._leases = Leases(lambda record, why: self.terminate(record, why=why), settings.owner_grace)
        self.time = ExpiryWatcher(
            self.machine,
            activity=self._activity,
            expire=lambda record, why: self._tasks.start(self._expire(record, why)),
            clock=clock,
        )
        self._notifications = SessionNotifications(self.time.ending, lambda: self._smtp)
        self._queue = SessionScheduler(self, self.machine, self.time.clock.today, store.keys.get)
        self._context = SupervisorContext(
            runtime=runtime,
            run_folder=run_folder,
            state_folder=state_folder,
            machine=self.machine,
            secrets=self.secrets,
            plugins=PluginFinder(runtime),
        )

    # Queries.

    def measured(self, id: str) -> Record | None:
        """Return a session by its full id, live or ended, with its current CPU time."""
        record = self.known(id)
        if record and (supervisor := self._supervisors.get(id)):
            supervisor.measure()
        return record

    def live_stat(self, record: Record, rank: int | None = None) -> dict[str, Any] | None:
        """Return the usage of a session or one of its members (see `usage`), or None if it has no processes."""
        supervisor = self._supervisors.get(record.id)
        if supervisor is None or not record.live:
            return None
        return (supervisor if rank is None else supervisor.members[rank]).stats() or None

    def supervisor(self, record: Record) -> SessionSupervisor:
        """Return the supervisor of a session that has started. Errors: NotRunning."""
        try:
            return self._supervisors[record.id]
        except KeyError:
            raise NotRunning(
                standing(record.name, record.status, record.status_info), hint="Wait until it is running."
            ) from None

    def endpoint(self, record: Record) -> SessionEndpoint:
        """Return the kernel endpoint of a session."""
        if record.id not in self._endpoints:
            folder = self._context.run_folder / socket_folder(record.id)
            connection = connect_to(record, folder, Path(record.folder) / "kernel.json")
            self._endpoints[record.id] = SessionEndpoint(record, connection, self._infos, self._on_control)
        return self._endpoints[record.id]

    async def wait(self, record: Record, until: Callable[[Record], bool]) -> None:
        """Wait until `until(record)` is true. Cancel to stop waiting."""
        await self.machine.wait(record, until)

    # Operations.

    def reconfigure(self, settings: ManagerSettings) -> None:
        """Apply other settings."""
        self.capacity, self.folders = settings.capacity, settings.folders
        self._leases.grace = settings.owner_grace
        self._smtp = settings.smtp
        self._runtime.prestart(settings.warm_pool)
        self._queue.changed()

    def check_sockets(self) -> None:
        """Mark sessions with deleted sockets as degraded."""
        for record, why in [
            (endpoint.record, endpoint.missing_sockets()) for endpoint in self._endpoints.values()
        ]:
            if why and record.status == "RUNNING" and record.process and self._runtime.alive(record.process):
                self.machine.apply(record, Degraded(why))

    def submit(self, record: Record) -> None:
        """Queue a new session, which starts at once if there is room. Errors: InvalidRequest, StoreError."""
        NAME_RULE.check(record.name)
        if self.named(record.name, record.access_key):
            raise InvalidRequest(f"A session '{record.name}' exists already.", field="name")
        self._notifications.take_in(record)
        self._add(record)
        self._leases.watch(record)
        self._queue.changed()

    def claim(self, record: Record, owner: Identity | None, patience: float = 0) -> None:
        """Connect a notebook to a session; `owner`, if given, takes over the lease.

        The notebook waits `patience` seconds for the start, 0 for no limit.
        """
        start_by = datetime.now(UTC) + timedelta(seconds=patience) if patience else None
        self.machine.apply(record, Claimed(owner, start_by))
        if owner is not None:
            self._leases.watch(record)

    def _on_control(self, record: Record, request: str, owner: bool) -> None:
        """Handle a shutdown or interrupt request of a notebook. Only the owner can end the session."""
        if owner and record.owner is not None:
            shut_down = request == "shutdown"
            why = "its notebook was shut down" if shut_down else "interrupted while it waited"
            if shut_down or record.status == "PENDING":
                self._tasks.start(self.terminate(record, why=why))

    def interrupt(self, record: Record) -> None:
        """Interrupt running code, or abort the requests of waiting notebooks. Errors: NotRunning."""
        if record.notebook and record.status in ("PENDING", "PREPARING"):
            self.endpoint(record).interrupt()
        else:
            self.supervisor(record).interrupt()

    def touch(self, record: Record) -> None:
        """Reset the idle timeout for an input through a terminal, stream or service connection.

        This is fast enough for every input. The activity of the kernel is measured separately.
        """
        self.time.touch(record)

    def renew(self, record: Record) -> None:
        """Reset the idle timeout and the time limit of a session. Errors: NotRunning."""
        self.supervisor(record).check_running()
        self.time.renew(record)

    async def terminate(self, record: Record, *, forced: bool = False, why: str = USER_REQUESTED) -> None:
        """Start to terminate a session, or cancel a pending one. Return once its status says so."""
        if record.status == "PENDING":
            self.machine.apply(record, Cancelled(why))
        elif record.status == "ERROR":
            self._end_lost(record, why)
        elif record.status != "TERMINATING" or forced:
            self._tasks.start(self._terminate(record, forced, why))
            await asyncio.sleep(0)

    async def _terminate(self, record: Record, forced: bool, why: str) -> None:
        if record.status == "TERMINATING":
            await self.supervisor(record).kill()
        else:
            await self.supervisor(record).terminate(why, forced=forced)

    async def restart(self, record: Record) -> None:
        """Restart a running session, and wait until it runs again or has failed. Errors: NotRunning, LaunchFailed."""
        supervisor = self.supervisor(record)
        supervisor.check_running()
        await supervisor.main.check()
        supervisor.check_running()
        self._tasks.start(supervisor.restart())
        await asyncio.sleep(0)
        await self.wait(record, lambda record: record.status != "RESTARTING")

    def _activity(self, record: Record) -> Activity:
        supervisor = self._supervisors.get(record.id)
        return supervisor.activity() if supervisor else Activity()

    async def _expire(self, record: Record, why: str) -> None:
        """End an expired session, after an interrupt that lets running code clean up."""
        supervisor = self._supervisors.get(record.id)
        if supervisor is None or not record.usable:
            return
        await supervisor.interrupt_gently()
        if record.usable:
            await self.terminate(record, why=why)

    def rename(self, record: Record, name: str) -> None:
        """Rename a session. Errors: InvalidRequest for an invalid or used name."""
        NAME_RULE.check(name)
        if self.named(name, record.access_key) not in (None, record):
            raise InvalidRequest(
                f"A session '{name}' exists already.", hint="Choose another name.", field="name"
            )
        self.machine.apply(record, Renamed(name))

    # Takeover from an earlier manager.

    def adopt(self, last: Host | None, now: Host) -> None:
        """Take over the sessions of an earlier manager; sessions without processes end."""
        self.machine.load()
        processes = {
            record.id: find_process(record, self._runtime) for record in self.live if record.holds_slots
        }
        lost = why_lost(last, now)
        kept = [record for record in self.live if processes.get(record.id) and not lost]
        met = {record.id for record in self.live if record.notebook and not record.process}
        self._sweep({one for record in kept for one in record.member_ids}, met)
        for record in self.live:
            try:
                self._callbacks.skip_current(record)
                self._notifications.take_in(record)
                if record.holds_slots:
                    self._adopt(record, processes.get(record.id), lost)
                if record.status == "PENDING" and record.notebook:
                    self.endpoint(record).resume()
                self._leases.watch(record)
            except Exception as error:  # A failure of one session must not affect the others.
                log.exception("session %s", record.name)
                self._give_up(record, f"the manager could not take it over: {error}")
        self._on_live(bool(self._live))
        self._forget_old()
        self._queue.changed()
        self._tasks.start(self.time.run())

    def _give_up(self, record: Record, why: str) -> None:
        """End a session that cannot be taken over."""
        for process in record.processes:
            self._runtime.kill(process)
        if record.status == "PENDING":
            self.machine.apply(record, Cancelled(why))
        else:
            self._end_lost(record, why)

    def _sweep(self, alive: set[str], met: set[str]) -> None:
        """Remove limits and sockets of sessions not in `alive`; notebooks wait at the sockets of sessions in `met`."""
        self._runtime.limits.sweep(alive)
        kept = {socket_folder(one) for one in alive | met}
        for folder in self._context.run_folder.iterdir():
            if folder.is_dir() and folder.name not in kept:
                remove(folder)

    def _adopt(self, record: Record, process: Process | None, why: str) -> None:
        if process is None and record.status == "PREPARING":
            self.machine.apply(record, Requeued())
        elif process is not None and not why:
            self.machine.apply(record, TakenOver(0, process))
            self.secrets.recall(record)
            if not record.batch and record.status != "TERMINATING":
                self.endpoint(record).resume()
            self._supervise(record)  # For an ended process, reads the exit status and cleans up.
            self.time.follow(record)
        else:
            self.machine.apply(record, Exited(self._runtime.exit_status(process) if process else None))
            self._end_lost(record, why or record.status_info or "the manager ended before it was started")

    def _end_lost(self, record: Record, why: str) -> None:
        """End a session without processes, with all transitions that clients expect."""
        if record.status != "TERMINATING":
            self.machine.apply(record, Terminating(why))
        self.machine.apply(record, Terminated(why))

    async def close(self) -> None:
        """Close everything; sessions keep running."""
        self._leases.close()
        self._runtime.close()
        self._queue.close()
        await self._callbacks.close()
        await self._notifications.close()
        await self._tasks.close()
        for endpoint in self._endpoints.values():
            endpoint.release()
        self.bus.close()

    # Reactions to changes.

    def _on_change(self, record: Record, transition: Transition) -> None:
        """Notify the other parts of the manager of a session's change."""
        self.time.follow(record)
        self._callbacks.post(record)
        self._notifications.changed(record, transition)
        if not record.live:
            self._leases.drop(record)
            self.secrets.forget(record.id)
        self._on_live(bool(self._live))
        if record.id in self._endpoints:
            self._endpoints[record.id].update_waiting()
        if isinstance(transition, Scheduled):
            self._supervise(record)
        if isinstance(transition, Cancelled | Terminated):
            self._forget_old()
        if isinstance(transition, Cancelled):
            self._tasks.start(self._end_endpoint(record))
        if isinstance(transition, Cancelled | Renamed):
            self._queue.changed()

    def _supervise(self, record: Record) -> None:
        supervisor = self._supervisors[record.id] = SessionSupervisor(
            record, self._context, self.endpoint(record)
        )
        self._tasks.start(self._run_supervisor(supervisor))

    async def _run_supervisor(self, supervisor: SessionSupervisor) -> None:
        try:
            await supervisor.life()
        except Exception:  # Its resources must be released for other sessions.
            log.exception("session %s", supervisor.record.name)
        self._supervisors.pop(supervisor.record.id, None)
        self._endpoints.pop(supervisor.record.id, None)
        self._queue.changed()

    async def _end_endpoint(self, record: Record) -> None:
        if endpoint := self._endpoints.pop(record.id, None):
            await endpoint.end()
