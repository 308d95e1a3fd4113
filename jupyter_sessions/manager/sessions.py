"""All sessions of this manager: the queue, the living, and the way to the ended ones."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jupyter_sessions.errors import Ambiguous, InvalidRequest, NotRunning, SessionNotFound
from jupyter_sessions.manager.events import Bus
from jupyter_sessions.manager.guardian import Guardian, Workshop
from jupyter_sessions.manager.leases import Leases
from jupyter_sessions.manager.record import Record, folder_of, socket_folder
from jupyter_sessions.manager.runtime.launch import LaunchError, Process, exit_status, recover
from jupyter_sessions.manager.runtime.limits import Limits
from jupyter_sessions.manager.scheduler import Capacity, decide, used
from jupyter_sessions.manager.store import Store, StoreError
from jupyter_sessions.model import NameRule
from jupyter_sessions.wire.identity import Host, Identity

log = logging.getLogger("jupyter_sessions")

NAME_RULE = NameRule(
    r"(?=.{4,64}$)\w[\w.-]*\w",
    "Use 4 to 64 letters, digits, '.', '_' or '-', beginning and ending with a letter, digit or '_'.",
)


ENDED_MOST = 1000
ENDED_FOR = timedelta(days=30)


class Sessions:
    """Keeps the store, the queue and the guardians of running sessions in step."""

    def __init__(
        self,
        *,
        store: Store,
        bus: Bus,
        capacity: Capacity,
        limits: Limits,
        run_folder: Path,
        state_folder: Path,
        keep_fds: tuple[int, ...] = (),
        on_live: Callable[[bool], None] = lambda live: None,
        owner_grace: float = 20,
    ) -> None:
        self.store = store
        self.bus = bus
        self.capacity = capacity
        self.state_folder = state_folder
        self._on_live = on_live
        self._live: dict[str, Record] = {}
        self._guardians: dict[str, Guardian] = {}
        self._unsaved: dict[str, Record] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self._leases = Leases(lambda record, why: self.terminate(record, why=why), owner_grace)
        self._shop = Workshop(
            limits=limits,
            run_folder=run_folder,
            state_folder=state_folder,
            keep_fds=keep_fds,
            keep=self._note,
            changed=self._keep,
            tell=self._tell,
            left=self._left,
        )

    # Looking.

    @property
    def live(self) -> list[Record]:
        """Sessions that have not ended, oldest first."""
        return sorted(self._live.values(), key=lambda record: record.created)

    @property
    def in_care(self) -> bool:
        """Whether any session needs this manager: one waits or has processes."""
        return any(record.status != "ERROR" for record in self._live.values())

    def used(self) -> dict[str, object]:
        """What the running sessions hold, by slot."""
        return dict(used(record for record in self._live.values() if record.holds_slots))

    def find(self, ref: str) -> Record:
        """A live session by id or name. Errors: SessionNotFound, Ambiguous."""
        if record := self._live.get(ref):
            return record
        matches = [record for record in self._live.values() if record.name == ref]
        if not matches:
            raise SessionNotFound(
                f"There is no session '{ref}'.", hint="Sessions that run are in the list.", field="session"
            )
        if len(matches) > 1:
            ids = ", ".join(record.id for record in matches)
            raise Ambiguous(
                f"Several sessions are called '{ref}'.", hint=f"Use an id: {ids}.", field="session"
            )
        return matches[0]

    def find_any(self, ref: str) -> Record:
        """A session by id or name: a live one, else the one that ended last. Errors: SessionNotFound."""
        try:
            return self.find(ref)
        except SessionNotFound:
            record = self.store.get(ref) or self.store.latest(ref)
            if record is None:
                raise
            return record

    def measured(self, id: str) -> Record | None:
        """A session by its full id, live or ended, with its use of CPU as of now."""
        record = self._live.get(id)
        if record is None:
            return self._unsaved.get(id) or self.store.get(id)
        if guardian := self._guardians.get(id):
            record.cpu_ms_before = guardian.cpu_ms()
        return record

    def guardian(self, record: Record) -> Guardian:
        """Who looks after a session that has started. Errors: NotRunning."""
        try:
            return self._guardians[record.id]
        except KeyError:
            info = f" ({record.status_info})" if record.status_info else ""
            raise NotRunning(
                f"The session '{record.name}' is {record.status}{info}.", hint="It must be RUNNING for that."
            ) from None

    async def wait(self, record: Record, until: Callable[[Record], bool]) -> None:
        """Return as soon as `until(record)` holds; cancel to stop waiting."""
        async with self._changed:
            await self._changed.wait_for(lambda: until(record))

    # Doing.

    def submit(self, record: Record) -> None:
        """Queue a new session; it starts at once if there is room."""
        NAME_RULE.check(record.name)
        if any(other.name == record.name for other in self._live.values()):
            raise InvalidRequest(f"A session '{record.name}' exists already.", field="name")
        record.stamp()
        self.store.save(record)  # If it cannot be kept, it does not begin.
        Path(record.folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._live[record.id] = record
        self._keep(record, "session_enqueued")
        self._leases.watch(record)
        self._schedule()

    def claim(self, record: Record, owner: Identity | None) -> None:
        """Note that a notebook is connected to a session, which `owner` has from now on if given."""
        record.notebook = True
        if owner is not None:
            record.owner = owner
            self._leases.watch(record)
        self._note(record)

    def _left(self, record: Record) -> None:
        """The owner said that it is done with the session."""
        if record.owner is not None:
            self._do(self.terminate(record, why="its notebook was shut down"))

    async def terminate(self, record: Record, *, forced: bool = False, why: str = "user-requested") -> None:
        """Begin to end a session; a pending one is cancelled. Returns once it is marked."""
        if record.status == "PENDING":
            record.move("CANCELLED", why)
            self._keep(record, "session_cancelled")
            self._schedule()
        elif record.status == "ERROR":
            record.move("TERMINATING", why)
            record.move("TERMINATED", why)
            self._keep(record, "session_terminated")
        elif record.status != "TERMINATING" or forced:
            self._do(self._terminate(record, forced, why))
            await asyncio.sleep(0)

    async def _terminate(self, record: Record, forced: bool, why: str) -> None:
        if record.status == "TERMINATING":
            await self.guardian(record).kill()
        else:
            await self.guardian(record).terminate(why, forced=forced)

    async def restart(self, record: Record) -> None:
        """Restart a running session; returns when it runs again or has failed. Errors: NotRunning."""
        guardian = self.guardian(record)
        guardian.running_link()
        self._do(guardian.restart())
        await asyncio.sleep(0)
        await self.wait(record, lambda record: record.status != "RESTARTING")

    def rename(self, record: Record, name: str) -> None:
        """Call a session otherwise. Errors: InvalidRequest for a bad or taken name."""
        NAME_RULE.check(name)
        if any(other.name == name and other is not record for other in self._live.values()):
            raise InvalidRequest(
                f"A session '{name}' exists already.", hint="Choose another name.", field="name"
            )
        record.name = name
        self._keep(record, "session_renamed")

    # From one manager to the next.

    def adopt(self, last: Host | None, now: Host) -> None:
        """Take over what a manager before this one left: what lives goes on, the rest is ended."""
        self._live = {record.id: record for record in self.store.live()}
        processes = {record.id: find_process(record) for record in self.live if record.holds_slots}
        lost = why_lost(last, now)
        self._sweep({one for one, process in processes.items() if process and not lost})
        for record in self.live:
            if record.id in processes:
                self._adopt(record, processes[record.id], lost)
            self._leases.watch(record)
        self._on_live(bool(self._live))
        self._forget_old()
        self._schedule()

    def _sweep(self, ids: set[str]) -> None:
        """Remove limits and sockets of all others."""
        self._shop.limits.sweep(ids)
        kept = {socket_folder(one) for one in ids}
        for folder in self._shop.run_folder.iterdir():
            if folder.is_dir() and folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)

    def _adopt(self, record: Record, process: Process | None, why: str) -> None:
        if process is None and record.status == "PREPARING":
            record.process, record.gpus = None, []
            record.move("PENDING")
            self._keep(record, "session_enqueued")
        elif process is not None and not why:
            record.process = process
            self._guard(record)  # If it has ended, reads its exit status and clears up after it.
        else:
            record.exit_code = exit_status(process) if process else None
            self._lost(record, why or record.status_info or "the manager ended before it was started")

    def _lost(self, record: Record, why: str) -> None:
        if record.status != "TERMINATING":
            record.move("TERMINATING", why)
        record.move("TERMINATED", why)
        self._keep(record, "session_terminated")

    async def close(self) -> None:
        """Let go of everything; sessions run on."""
        self._leases.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.bus.close()

    # How.

    def _schedule(self) -> None:
        pending = [record for record in self.live if record.status == "PENDING"]
        holding = [record for record in self._live.values() if record.holds_slots]
        for decision in decide(self.capacity, pending, holding):
            record = self._live[decision.id]
            if decision.start:
                record.gpus = decision.gpus
                record.move("PREPARING")
                self._keep(record, "session_scheduled")
                self._guard(record)
            elif record.status_info != decision.reason:
                record.status_info = decision.reason
                record.stamp()
                self._keep(record, "session_waiting")

    def _guard(self, record: Record) -> None:
        guardian = self._guardians[record.id] = Guardian(record, self._shop)
        self._do(self._attend(guardian))

    async def _attend(self, guardian: Guardian) -> None:
        await guardian.life()
        self._guardians.pop(guardian.record.id, None)
        self._schedule()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("task failed", exc_info=task.exception())

    def _note(self, record: Record) -> None:
        self._unsaved[record.id] = record
        self.save()

    def _keep(self, record: Record, event: str) -> None:
        self._note(record)
        if not record.live:
            self._leases.drop(record)
            self._live.pop(record.id, None)
            self._forget_old()
        self._on_live(bool(self._live))
        self._tell(record, event)

    def save(self) -> None:
        """Keep what changed. What cannot be kept now, as the disk is full, is tried again later."""
        for record in list(self._unsaved.values()):
            try:
                self.store.save(record)
            except StoreError as error:
                log.error("%s", error)
                return
            del self._unsaved[record.id]

    def _forget_old(self) -> None:
        with suppress(StoreError):
            for one in self.store.prune(ENDED_MOST, datetime.now(UTC) - ENDED_FOR):
                shutil.rmtree(folder_of(self.state_folder, one), ignore_errors=True)

    def _tell(self, record: Record, event: str) -> None:
        self.bus.publish(event, record)
        self._do(self._wake())

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def why_lost(last: Host | None, now: Host) -> str:
    """Why nothing of what ran before can be running still; "" if it may be."""
    if last is None or (last.boot_id, last.pid_ns) == (now.boot_id, now.pid_ns):
        return ""
    return "the machine restarted" if last.boot_id != now.boot_id else "the container was replaced"


def find_process(record: Record) -> Process | None:
    """The main process as last started, also if the manager died before it could note it."""
    try:
        return recover(str(Path(record.folder) / "main")) or record.process
    except LaunchError:
        return record.process
