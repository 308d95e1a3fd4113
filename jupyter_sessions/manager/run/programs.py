"""Programs that run beside a session's kernel, inside its limits: commands of batch runs, and its terminal."""

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
"""What the keys of commands begin with."""
TERMINAL = "terminal"
"""The key of the shell in the terminal, which ends with the manager."""
_UMASK = 0o022


class Programs:
    """Starts programs in one session's working folder, with its environment.

    `uploaded` are the files that came last, relative to the working folder; `times_busy` tells how many
    commands were started. Those that an earlier manager started are known, too.
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
        """The private folder of one program's files, made if it is not there."""
        folder = self._files / key
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    async def start(self, key: str, argv: Sequence[str], **more: str) -> Process:
        """Start a program; `more` are variables for it alone. Errors: LaunchError."""
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
        self._member.note_process(key, process)
        return process

    async def wait(self, process: Process) -> int | None:
        """Return the exit status of a program once it has ended; see `Runtime.wait`."""
        return await self._runtime.wait(process)

    def forget(self, key: str) -> None:
        """Remove what is kept of a program that has ended."""
        self._commands.pop(key, None)
        self._member.forget_process(key)  # While its folder still tells what it used.
        shutil.rmtree(self._files / key, ignore_errors=True)

    async def _start_terminal(self, argv: list[str]) -> Process:
        return await self.start(TERMINAL, argv, TERM="xterm-256color")

    # Commands of batch runs.

    async def command(self, key: str, argv: Sequence[str]) -> Process:
        """Start a program that an interrupt of the session reaches. Errors: LaunchError."""
        process = self._commands[key] = await self.start(key, argv)
        self.times_busy += 1
        return process

    @property
    def busy(self) -> bool:
        """Whether a command runs."""
        return any(self._runtime.alive(process) for process in self._commands.values())

    def interrupt(self) -> None:
        """Interrupt the commands that run."""
        for process in self._commands.values():
            self._runtime.signal_group(process, signal.SIGINT)

    async def stop(self, grace: float) -> None:
        """End all that runs beside the kernel, politely for `grace` seconds."""
        beside = {**self.record.service_processes}
        beside.pop(TERMINAL, None)  # Shells want to be told otherwise.
        await asyncio.gather(
            self.terminal.close(), *(self._runtime.stop(one, grace) for one in beside.values())
        )

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """Look after something until it is done, or the session's processes end."""
        self._tasks.start(work)

    async def close(self) -> None:
        """Let go of everything, as the processes have ended or go on without us."""
        await self._tasks.close()
        await self.terminal.close()
