"""One member of a session: its main process and further processes in one limits group."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from jupyter_sessions.channels.journal import FOLDER, Journal
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.errors import LaunchFailed, SessionError
from jupyter_sessions.manager.core.changes import (
    Measured,
    PortsChosen,
    Preparing,
    ProcessAdded,
    ProcessRemoved,
    Started,
    TakenOver,
)
from jupyter_sessions.manager.core.cluster import MemberRecord, hostname
from jupyter_sessions.manager.core.record import Record, socket_folder
from jupyter_sessions.manager.core.transitions import Transition
from jupyter_sessions.manager.endpoints.kernel_link import KernelLink, connect_to
from jupyter_sessions.manager.endpoints.tcp_forwarder import TcpForwarder
from jupyter_sessions.manager.endpoints.transport import TCP, free_ports
from jupyter_sessions.manager.run.context import SupervisorContext
from jupyter_sessions.manager.run.environment import environment, with_programs
from jupyter_sessions.manager.run.logs import LogFiles, last_lines
from jupyter_sessions.manager.run.usage import Meter
from jupyter_sessions.manager.runtime.ending import describe_exit
from jupyter_sessions.manager.runtime.launch import LaunchError, Process
from jupyter_sessions.manager.runtime.limits import LimitsGroup, LimitsGroupGone
from jupyter_sessions.manager.runtime.shared_memory import SharedMemory
from jupyter_sessions.wire.files import write_private

log = logging.getLogger("jupyter_sessions")
SHELL = "/bin/sh"
STARTUP = "startup-command"
SERVICE = "service-"
"""The prefix of the keys of services."""
_BOOTSTRAP = "bootstrap"
_PREPARE = "prepare"
_UMASK = 0o022

OutputListener = Callable[[Message], None]


class BootstrapFailed(LaunchError):
    """A member's bootstrap script ended with `exit_code`."""

    def __init__(self, message: str, exit_code: int | None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Member:
    """Starts, recovers, measures and ends the processes of one member.

    `row` is the member's record; for the main member, the session's record. `on_output` is called with the iopub messages of
    its kernel.
    """

    def __init__(
        self,
        record: Record,
        context: SupervisorContext,
        row: MemberRecord | None = None,
        on_output: OutputListener = lambda message: None,
    ) -> None:
        self.record = record
        self._on_output = on_output
        self.row: Record | MemberRecord = row or record
        self.name = hostname(self.row.rank)
        self.folder = Path(record.folder) / (self.name if row else "")
        self.connection = connect_to(
            self.row, context.run_folder / socket_folder(self.row.id), self.folder / "kernel.json"
        )
        self.logs = LogFiles(self.folder)
        self.journal = Journal(self.folder / FOLDER)
        self.link: KernelLink | None = None
        self._forwarder: TcpForwarder | None = None
        self._shared_memory = SharedMemory()
        self.limits_group: LimitsGroup | None = None
        self.runtime = context.runtime
        self._context = context
        self._cpu_ms_elsewhere = 0
        self._meter = Meter(
            record.member_slots,
            lambda: [self.limits_group] if self.limits_group else [],
            self.cpu_ms,
            lambda: record.gpus_of(self.row.rank),
        )

    @property
    def has_kernel(self) -> bool:
        """Whether the main process is a kernel, instead of the command of a batch session."""
        return not self.record.batch or self.row is not self.record

    # Start.

    def take_over(self, process: Process) -> str:
        """Take over the processes that an earlier manager started. Return why that failed, or ""."""
        row, why = self.row, ""
        if row.process != process:
            self.apply(TakenOver(row.rank, process))
        try:
            self.limits_group = self.runtime.limits.open(row.id, *self._amounts())
        except LimitsGroupGone as error:
            self.limits_group = self.runtime.limits.create(row.id, *self._amounts())
            why = f"the manager lost hold of it: {error}"
        self.limits_group.adopt(process)
        self._shared_memory.begin(self.record.created.timestamp())
        self._shared_memory.look([process.child.pid])
        for key, one in row.service_processes.items():
            service = key.removeprefix(SERVICE)
            (self.limits_group.adopt if service == key else self.limits_group.service(service).adopt)(one)
        if not self.limits_group.attach:  # Without control groups, ended processes are not counted any more.
            known = row.cpu_ms_before - self.limits_group.usage().cpu_ms
            self._cpu_ms_elsewhere = max(row.cpu_ms_at_launch, known)
        self.journal.resume()
        try:
            if self.has_kernel:
                self.connection.prepare()
        except (OSError, SessionError) as error:
            why = why or f"its kernel cannot be reached: {error}"
        return why

    async def prepare(self) -> None:
        """Create what the processes need before they start. Errors: LimitsError."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self.limits_group is None:
            for name in (_BOOTSTRAP, "main"):  # Processes that a manager could not store before it died.
                with suppress(LaunchError):
                    process = self.runtime.recover(self.folder / name)
                    while process and not self.runtime.kill(process):  # noqa: ASYNC110
                        await asyncio.sleep(0.005)
            self.limits_group = self.runtime.limits.create(self.row.id, *self._amounts())
        if self.has_kernel:
            over_tcp = self.record.launch.transport == TCP
            if over_tcp or self.row.kernel_ports:
                self.apply(PortsChosen(self.row.rank, free_ports() if over_tcp else []))
            self.connection.make()

    async def bootstrap(self) -> None:
        """Build the environment if need be, and run the bootstrap script. Errors: LaunchError, BootstrapFailed."""
        if prepare := self.record.launch.prepare:
            self.apply(Preparing("Installing the required packages."))
            await self._to_end(await self._shell(prepare, _PREPARE), "its environment could not be built")
        script = (self.record.bootstrap_script or "").replace("\r\n", "\n")
        if not script:
            return
        file = self.folder / "bootstrap.sh"
        write_private(file, script.encode())
        file.chmod(0o700)
        own = script.startswith("#!")
        process = await self._shell([str(file)] if own else [SHELL, str(file)], _BOOTSTRAP)
        await self._to_end(process, "the bootstrap script failed")

    async def _to_end(self, process: Process, failed: str) -> None:
        status = await self.runtime.wait(process)
        if status != 0:
            printed = " | ".join(last_lines(self.logs.kernel, 3)) or "it printed nothing"
            how = describe_exit(status)
            where = "" if self.record.size == 1 else f" in {self.name}"
            raise BootstrapFailed(f"{failed}{where} ({how}): {printed}", status)

    async def launch(self) -> Process:
        """Start the main process after `prepare`. Errors: LaunchError."""
        used = self.cpu_ms()
        self._shared_memory.begin()
        if self.has_kernel:
            file = str(self.connection.shown)
            argv = [part.replace("{connection_file}", file) for part in self.record.launch.argv]
            process = await self._start(argv, "main", self.environment())
        else:
            process = await self._shell([SHELL, "-c", self.record.startup_command or ""], "main")
        self.apply(Started(self.row.rank, process, used))
        self._shared_memory.look([process.child.pid])
        return process

    async def check(self) -> None:
        """Check that the main process could be started again. Errors: LaunchFailed with what is missing."""
        argv = [*self.record.launch.argv] if self.has_kernel else [SHELL]
        try:
            await self.runtime.check(argv, self.environment(), self.record.launch.cwd)
        except LaunchError as error:
            raise LaunchFailed(
                f"The session '{self.record.name}' keeps running, because it could not be started again: {error}",
                hint="Restore what is missing, or save your work and create another session.",
            ) from error

    async def run_startup(self) -> None:
        """Start the startup command beside the kernel. Errors: LaunchError."""
        command = self.record.startup_command
        if not command or not self.has_kernel or self.limits_group is None:
            return
        process = self.runtime.recover(self.folder / STARTUP)  # An earlier manager may have come as far.
        if process and self.runtime.alive(process):
            self.limits_group.adopt(process)
        else:
            process = await self._shell([SHELL, "-c", command], STARTUP)
        self.add_process(STARTUP, process)

    async def _shell(self, argv: list[str], name: str) -> Process:
        return await self._start(argv, name, with_programs(self.record, self.environment()))

    async def _start(self, argv: list[str], name: str, env: dict[str, str]) -> Process:
        given = self.record.launch.umask
        return await self.runtime.launch(
            argv,
            env=env,
            cwd=self.record.launch.cwd,
            log=str(self.logs.kernel),
            folder=str(self.folder / name),
            limits_group=self.limits_group,
            umask=_UMASK if given is None else given,
            # A later manager cannot read the environment that a prestarted interpreter was given.
            prestarted=self.row is self.record and not self.record.secrets,
        )

    def connect(self) -> KernelLink | None:
        """Return a new link to the kernel, not yet open, or None if there is no kernel."""
        reachable = self.has_kernel and self.connection.secret
        self.link = KernelLink(self.connection, self._handle_output) if reachable else None
        if reachable and self.connection.ports:
            self._forwarder = TcpForwarder(self.connection.stem, self.connection.ports, self.pids)
        return self.link

    def disconnect(self, why: str) -> None:
        """Close the link to the kernel. Running code ends with a reason."""
        if self.link is not None:
            self.link.close(why)
        if self._forwarder is not None:
            self._forwarder.close()
            self._forwarder = None

    def _handle_output(self, message: Message) -> None:
        self.logs.add(message)
        self.journal.add(message)
        self._on_output(message)

    def tidy(self) -> None:
        """Trim logs and buffers. Call it about once a second."""
        self.logs.trim()
        if self.link is not None:
            self.journal.mark_attended()
            self.link.drop_unread_output()
        if self.limits_group is not None:
            self._shared_memory.tidy(self.limits_group.pids())

    def environment(self) -> dict[str, str]:
        """Return the environment of the member's processes."""
        return environment(self.record, self._context.secrets.of(self.record), self.row.rank)

    # Usage.

    def pids(self) -> list[int]:
        """Return the pids of all processes."""
        mine = (self.row.process, *self.row.service_processes.values())
        return [pid for process in mine if process for pid in self.runtime.descendants(process)]

    def cpu_ms(self) -> int:
        """Return the CPU time of all processes, including those before restarts."""
        if self.limits_group is None:
            return self.row.cpu_ms_before
        return max(self.row.cpu_ms_before, self._cpu_ms_elsewhere + self.limits_group.usage().cpu_ms)

    def measure(self) -> None:
        """Store the current CPU time of all processes."""
        self.apply(Measured(self.row.rank, self.cpu_ms()))

    def add_process(self, key: str, process: Process, *more: Transition) -> None:
        """Store a process beside the main process, for a later manager, and apply further changes."""
        self.apply(ProcessAdded(self.row.rank, key, process), Measured(self.row.rank, self.cpu_ms()), *more)

    def remove_process(self, key: str, *more: Transition) -> None:
        """Remove a process beside the main process, and apply further changes."""
        self.apply(ProcessRemoved(self.row.rank, key), Measured(self.row.rank, self.cpu_ms()), *more)

    def apply(self, *changes: Transition) -> None:
        """Change the session's record."""
        self._context.machine.apply(self.record, *changes)

    def stats(self) -> dict[str, Any]:
        """Return the member's usage; see `usage`."""
        return self._meter.stats()

    def over_memory(self) -> bool:
        """Return whether a process was killed for its memory."""
        return self.limits_group is not None and self.limits_group.over_memory()

    @property
    def most_pids(self) -> int:
        """The most processes and threads at a time, 0 for no limit."""
        return 0 if self.limits_group is None else self.limits_group.most_pids

    def over_pids(self) -> bool:
        """Return whether the member was ended because it had too many processes and threads."""
        return self.limits_group is not None and self.limits_group.over_pids()

    # End.

    async def stop(self, grace: float) -> None:
        """Ask the processes to end, and kill them after `grace` seconds."""
        process = self.row.process
        if not grace or process is None or self.limits_group is None:
            await self.kill()
            return
        self._shared_memory.look(self.limits_group.pids())
        if self.link is not None and self.link.shutdown():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.runtime.wait(process), grace)
        await self.runtime.stop(process, grace, alone=self.has_kernel)

    async def kill(self) -> None:
        """Kill all processes, and remove the shared memory that they leave behind."""
        if self.limits_group is not None:
            self._shared_memory.look(self.limits_group.pids())
            if await self.limits_group.kill():
                await asyncio.to_thread(self._shared_memory.remove)
        elif self.row.process is not None:  # The limits could not be opened or created.
            while not self.runtime.kill(self.row.process):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def clean_up(self) -> None:
        """Remove limits and sockets of the member; its files stay."""
        if self.limits_group is not None:
            await self.kill()
            if not self.limits_group.remove():
                log.warning("the limits of session %s cannot be removed", self.row.id)
        self.connection.discard()

    def _amounts(self) -> tuple[Decimal, int]:
        slots = self.record.member_slots
        return slots["cpu"], int(slots["mem"])
