"""Programs beside a session's kernel, inside its limits: commands of batch runs and terminals."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jupyter_sessions.manager.core.changes import ServiceChanged
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.services import READY, TERMINAL, ServiceState, kind_of
from jupyter_sessions.manager.core.tasks import Tasks
from jupyter_sessions.manager.run.environment import with_programs
from jupyter_sessions.manager.run.member import Member
from jupyter_sessions.manager.run.terminal import Terminal
from jupyter_sessions.manager.runtime.launch import Process

COMMAND = "run:"
"""The prefix of the keys of commands."""
_UMASK = 0o022


class Programs:
    """Starts programs in one session's working folder, with its environment.

    `uploaded` are the files of the last upload, relative to the working folder; `times_busy` counts the started
    commands. Commands that an earlier manager started are included in `busy`, `interrupt` and `stop`.
    """

    def __init__(self, record: Record, member: Member) -> None:
        self.record = record
        self.uploaded: list[str] = []
        self.logs = member.logs
        self._member = member
        self._runtime = member.runtime
        self._files = member.folder
        self._tasks = Tasks()
        self.times_busy = 0
        known = record.service_processes
        self._commands = {key: known[key] for key in known if key.startswith(COMMAND)}
        self._terminals: dict[str, Terminal] = {}
        for name, state in record.services.items():
            if (
                kind_of(name) == TERMINAL and state.state == READY
            ):  # Shells in terminals end with their manager.
                member.apply(ServiceChanged(name, ServiceState()))

    @property
    def folder(self) -> Path:
        """The working folder."""
        return Path(self.record.launch.cwd)

    def place(self, key: str) -> Path:
        """Return the private folder for the files of one program, and create it if needed."""
        folder = self._files / key
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    async def start(self, key: str, argv: Sequence[str], **more: str) -> Process:
        """Start a program; `more` are additional environment variables. Errors: LaunchError."""
        record = self.record
        process = await self._runtime.launch(
            argv,
            env=with_programs(record, self._member.environment()) | more,
            cwd=self.folder,
            log=os.devnull,
            folder=str(self.place(key)),
            limits_group=self._member.limits_group,
            umask=_UMASK if record.launch.umask is None else record.launch.umask,
        )
        self._member.add_process(key, process)
        return process

    async def wait(self, process: Process) -> int | None:
        """Return the exit status of a program once it has ended; see `Runtime.wait`."""
        return await self._runtime.wait(process)

    def forget(self, key: str) -> None:
        """Remove the record and the files of an ended program."""
        self._commands.pop(key, None)
        self._member.remove_process(key)  # Before its folder, which holds its usage, is removed.
        shutil.rmtree(self._files / key, ignore_errors=True)

    # Terminals, whose shells end with the manager.

    def terminal(self, name: str = TERMINAL) -> Terminal:
        """Return a terminal, whose shell starts for its first viewer."""
        if name not in self._terminals:
            start, ended = partial(self._start_terminal, name), partial(self._end_terminal, name)
            self._terminals[name] = Terminal(self._runtime, start, ended)
        return self._terminals[name]

    async def _start_terminal(self, name: str, argv: list[str]) -> Process:
        process = await self.start(name, argv, TERM="xterm-256color")
        self._member.apply(ServiceChanged(name, ServiceState(state=READY, since=datetime.now(UTC))))
        return process

    def _end_terminal(self, name: str) -> None:
        self.forget(name)
        self._member.apply(ServiceChanged(name, ServiceState()))

    # Commands of batch runs.

    async def command(self, key: str, argv: Sequence[str]) -> Process:
        """Start a command, which an interrupt of the session reaches. Errors: LaunchError."""
        process = self._commands[key] = await self.start(key, argv)
        self.times_busy += 1
        return process

    @property
    def busy(self) -> bool:
        """Whether a command runs."""
        return any(self._runtime.alive(process) for process in self._commands.values())

    def interrupt(self) -> None:
        """Interrupt the running commands."""
        for process in self._commands.values():
            self._runtime.signal_group(process, signal.SIGINT)

    async def stop(self, grace: float) -> None:
        """Ask all programs beside the kernel to end, and kill them after `grace` seconds."""
        processes = self.record.service_processes.items()
        beside = [process for key, process in processes if key not in self._terminals]
        await asyncio.gather(
            self._close_terminals(), *(self._runtime.stop(process, grace) for process in beside)
        )

    async def _close_terminals(self) -> None:
        """End all shells, by a hangup of their terminals."""
        await asyncio.gather(*(terminal.close() for terminal in self._terminals.values()))

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task in the background until it is done or the session's processes end."""
        self._tasks.start(work)

    async def close(self) -> None:
        """Stop background tasks and close the terminals."""
        await self._tasks.close()
        await self._close_terminals()
