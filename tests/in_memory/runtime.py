"""A runtime without processes: kernels are objects of this process, commands the few that it knows."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from jupyter_sessions.manager.runtime import launch
from jupyter_sessions.manager.runtime.base import Runtime
from jupyter_sessions.manager.runtime.launch import LaunchError, Process, ProcessLimits
from jupyter_sessions.manager.runtime.limits import Limits, LimitsGroup, LimitsGroupGone
from jupyter_sessions.manager.runtime.limits.part import Part
from jupyter_sessions.wire.identity import Identity, here
from tests.in_memory.kernel import InMemoryKernel

_NO_PID = 1 << 23
"""Above all pids that there can be. Source: PID_MAX_LIMIT of Linux, 1 << 22."""
_MEANS = dict.fromkeys(("cpu", "mem", "pids"), "nothing, as there is no process")


class _Program:
    """What runs, or ran; `status` is None until it has ended."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.status: int | None = None
        self.over = asyncio.Event()
        self.kernel: InMemoryKernel | None = None

    def end(self, status: int) -> None:
        if self.status is None:
            self.status = status
            if self.kernel is not None:
                self.kernel.close()
            self.over.set()


class InMemoryRuntime(Runtime):
    """See `Runtime`. It knows kernels, and the shell commands `true`, `sleep` (for ever) and `exit N`."""

    def __init__(self) -> None:
        self.limits: Limits = InMemoryLimits(self)
        self._pids = itertools.count(_NO_PID)
        self._programs: dict[str, _Program] = {}

    async def launch(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | os.PathLike[str],
        log: str | os.PathLike[str],
        folder: str | os.PathLike[str],
        limits_group: ProcessLimits | None = None,
        umask: int | None = None,
        prestarted: bool = False,
    ) -> Process:
        """Start a kernel if a connection file is named, else a command. Errors: LaunchError."""
        launch.check(argv, env, str(cwd))
        host = here()
        one = Identity(next(self._pids), 1, host.boot_id, host.pid_ns)
        process = Process(one, one, str(folder))
        program = _Program(process)
        connection = next((part for part in argv if part.endswith("kernel.json")), None)
        if connection is not None:
            program.kernel = InMemoryKernel(Path(connection), lambda: program.end(0))
        else:
            _run(argv[-1], program)
        Path(log).touch()
        self._programs[str(folder)] = program
        if limits_group is not None:
            limits_group.adopt(process)
        return process

    def recover(self, folder: str | os.PathLike[str]) -> Process | None:
        """Return the process last started in a folder."""
        program = self._programs.get(str(folder))
        return program.process if program else None

    async def check(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
        """Check whether its files are there. Errors: LaunchError."""
        launch.check(argv, env, cwd)

    async def wait(self, process: Process) -> int | None:
        """Return the exit status."""
        if program := self._program(process):
            await program.over.wait()
        return self.exit_status(process)

    async def stop(self, process: Process, grace: float, *, alone: bool = False) -> int | None:
        """End it: it does as it is told."""
        self.signal_group(process, signal.SIGTERM if grace else signal.SIGKILL)
        return self.exit_status(process)

    def kill(self, process: Process) -> bool:
        """End it, and return True if it had ended."""
        return not self.signal_group(process, signal.SIGKILL)

    def signal_group(self, process: Process, signum: int) -> bool:
        """Send a signal; kernels survive SIGINT."""
        program = self._program(process)
        if program is None or program.status is not None:
            return False
        if signum != signal.SIGINT or program.kernel is None:
            program.end(-signum)
        return True

    def exit_status(self, process: Process) -> int | None:
        """Return how it ended."""
        program = self._program(process)
        return program.status if program else None

    def alive(self, process: Process) -> bool:
        """Return whether it runs."""
        program = self._program(process)
        return program is not None and program.status is None

    def descendants(self, process: Process) -> list[int]:
        """Return its own pid, as it starts no others."""
        return [process.child.pid] if self.alive(process) else []

    async def output(self, argv: Sequence[str], env: Mapping[str, str]) -> bytes:
        """Answer as an interpreter without plug-ins for services does."""
        return b'{"services": {}, "paths": []}'

    def prestart(self, most: int) -> None:
        """Keep nothing ready."""

    def close(self) -> None:
        """Let everything run on."""

    def end_all(self) -> None:
        """End what runs."""
        for program in self._programs.values():
            program.end(-signal.SIGKILL)

    def _program(self, process: Process) -> _Program | None:
        program = self._programs.get(process.folder)
        return program if program and program.process == process else None


def _run(command: str, program: _Program) -> None:
    """Errors: LaunchError for a command that only a real process can run."""
    match command.split():
        case ["true"]:
            program.end(0)
        case ["exit", status]:
            program.end(int(status))
        case ["sleep", _]:
            pass
        case _:
            raise LaunchError(f"The runtime in memory does not know the command: {command}")


class _InMemoryPart(Part):
    """The processes of one session."""

    def __init__(self, runtime: InMemoryRuntime) -> None:
        self._runtime = runtime
        self._processes: list[Process] = []

    def pids(self) -> list[int]:
        return [process.child.pid for process in self._processes if self._runtime.alive(process)]

    def adopt(self, process: Process) -> None:
        self._processes.append(process)

    def exists(self) -> bool:
        return True

    def kill_once(self, *, spare: bool = False) -> bool:
        ended = [self._runtime.kill(process) for process in self._processes]
        return all(ended)

    def remove(self) -> bool:
        return not self.pids()


class InMemoryLimits(Limits):
    """Groups that limit nothing."""

    def __init__(self, runtime: InMemoryRuntime) -> None:
        self.means = _MEANS
        self._runtime = runtime
        self._groups: dict[str, LimitsGroup] = {}

    def create(self, id: str, cpu: Decimal, mem: int) -> LimitsGroup:
        """A group for a new session."""
        parts = [_InMemoryPart(self._runtime)]
        made = self._groups[id] = LimitsGroup(id, parts, None, lambda: self._groups.pop(id, None), mem)
        return made

    def open(self, id: str, cpu: Decimal, mem: int) -> LimitsGroup:
        """The group of a session. Errors: LimitsGroupGone."""
        if id not in self._groups:
            raise LimitsGroupGone(f"There are no limits of a session {id}.")
        return self._groups[id]

    def sweep(self, live_ids: Collection[str]) -> list[str]:
        """End all others."""
        others = [one for one in self._groups if one not in live_ids]
        for one in others:
            self._groups[one].kill_once()
            self._groups[one].remove()
        return others
