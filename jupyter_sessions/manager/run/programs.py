"""Programs beside a session's kernel, inside its limits: commands of batch runs and the terminal."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.tasks import Tasks
from jupyter_sessions.manager.run.environment import with_programs
from jupyter_sessions.manager.run.member import Member
from jupyter_sessions.manager.run.terminal import Terminal
from jupyter_sessions.manager.runtime.launch import Process

COMMAND = "run:"
"""The prefix of the keys of commands."""
TERMINAL = "terminal"
"""The key of the terminal's shell, which ends with the manager."""
_UMASK = 0o022


class Programs:
    """Starts programs in one session's working folder, with its environment.

    `uploaded` are the files of the last upload, relative to the working folder; `times_busy` counts the started
    commands. Commands that an earlier manager started are included in `busy`, `interrupt` and `stop`.
    """

    def __init__(self, record: Record, member: Member) -> None:
        self.record = record
        self.uploaded: list[str] = []
        self.terminal = Terminal(member.runtime, self._start_terminal, lambda: self.forget(TERMINAL))
        self.logs = member.logs
        self._member = member
        self._runtime = member.runtime
        self._files = member.folder
        self._tasks = Tasks()
        self.times_busy = 0
        known = record.service_processes
        self._commands = {key: known[key] for key in known if key.startswith(COMMAND)}

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

    async def _start_terminal(self, argv: list[str]) -> Process:
        return await self.start(TERMINAL, argv, TERM="xterm-256color")

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
        beside = {**self.record.service_processes}
        beside.pop(TERMINAL, None)  # A shell ends by a hangup of its terminal.
        await asyncio.gather(
            self.terminal.close(), *(self._runtime.stop(one, grace) for one in beside.values())
        )

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task in the background until it is done or the session's processes end."""
        self._tasks.start(work)

    async def close(self) -> None:
        """Stop background tasks and close the terminal."""
        await self._tasks.close()
        await self.terminal.close()
