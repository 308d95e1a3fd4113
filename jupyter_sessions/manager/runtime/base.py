"""The interface through which the manager starts, recovers and ends the processes of sessions, with their limits.

`ProcessRuntime` runs real processes of this machine. Supervisors only use the runtime that they are given, so the
manager also works with a runtime that starts no process.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from jupyter_sessions.manager.runtime.launch import Process, ProcessLimits
from jupyter_sessions.manager.runtime.limits import Limits


class Runtime(ABC):
    """Starts processes that outlive the manager, recovers, signals and ends them.

    All methods except `launch` also work for a process that an earlier manager started.
    """

    limits: Limits
    """Creates the groups that limit CPU, memory and number of processes of sessions."""

    @abstractmethod
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
        """Start a process in a limits group, and return once it runs its program.

        `env` is its whole environment, `log` the file to which its output is appended, and `folder` (one per process)
        from which `recover` finds it. With `prestarted`, it may come from an interpreter that was started ahead of time.
        Errors: LaunchError.
        """

    @abstractmethod
    def recover(self, folder: str | os.PathLike[str]) -> Process | None:
        """Return the process last started in a folder, alive or not, or None. Errors: those of `launch`."""

    @abstractmethod
    async def check(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
        """Check whether a process could be started. Errors: LaunchError with what is missing."""

    @abstractmethod
    async def wait(self, process: Process) -> int | None:
        """Wait until a process and the processes it left behind have ended. Return `exit_status`."""

    @abstractmethod
    async def stop(self, process: Process, grace: float, *, alone: bool = False) -> int | None:
        """Ask a process group to end, kill it after `grace` seconds, and return the exit status.

        With `alone`, only the process itself is asked.
        """

    @abstractmethod
    def kill(self, process: Process) -> bool:
        """Kill a process and its descendants. Return True if none were left."""

    @abstractmethod
    def signal_group(self, process: Process, signum: int) -> bool:
        """Send a signal to the process group of a process; return False if the process has ended."""

    @abstractmethod
    def exit_status(self, process: Process) -> int | None:
        """Return the exit code of a process, or the negative number of the signal that killed it.

        None while the process runs, and forever if nobody saw how it ended.
        """

    @abstractmethod
    def alive(self, process: Process) -> bool:
        """Return whether a process runs."""

    @abstractmethod
    def descendants(self, process: Process) -> list[int]:
        """Return the pids of a process and its descendants."""

    @abstractmethod
    async def output(self, argv: Sequence[str], env: Mapping[str, str]) -> bytes:
        """Run a short program of our own, in no limits group, and return what it prints. Errors: OSError, TimeoutError."""

    @abstractmethod
    def prestart(self, most: int) -> None:
        """Set the number of prestarted interpreters."""

    @abstractmethod
    def close(self) -> None:
        """End prestarted interpreters; processes of sessions keep running."""
