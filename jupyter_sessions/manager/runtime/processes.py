"""The runtime of a real manager: sessions are processes of this machine."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence

from jupyter_sessions.manager.runtime import ending, launch
from jupyter_sessions.manager.runtime.base import Runtime
from jupyter_sessions.manager.runtime.launch import Process, ProcessLimits
from jupyter_sessions.manager.runtime.limits import Limits
from jupyter_sessions.manager.runtime.prestart.pool import PrestartPool

_OUTPUT_SECONDS = 60.0


class ProcessRuntime(Runtime):
    """Runs sessions as processes of this machine; see `Runtime`.

    Their shims keep the descriptors `keep_fds` open. At most `prestarted` interpreters are started ahead of time.
    """

    def __init__(self, limits: Limits, keep_fds: Sequence[int] = (), prestarted: int = 0) -> None:
        self.limits = limits
        self._keep_fds = tuple(keep_fds)
        self._pool = PrestartPool(prestarted, keep_fds)

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
        """Start a process in a limits group, and return once it runs its program. Errors: LaunchError."""
        return await launch.launch(
            argv,
            env=env,
            cwd=cwd,
            log=log,
            folder=folder,
            limits_group=limits_group,
            keep_fds=self._keep_fds,
            umask=umask,
            pool=self._pool if prestarted else None,
        )

    def recover(self, folder: str | os.PathLike[str]) -> Process | None:
        """Return the process last started in a folder, from the report of its shim. Errors: LaunchError."""
        return launch.recover(folder)

    async def check(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
        """Check whether a process could be started; a prestarted interpreter has its module. Errors: LaunchError."""
        await asyncio.to_thread(launch.check, argv, env, cwd)
        if not self._pool.holds(argv[0]):
            await launch.check_module(argv, env)

    async def wait(self, process: Process) -> int | None:
        """Wait until a process and the processes it left behind have ended. Return `exit_status`."""
        return await ending.wait(process)

    async def stop(self, process: Process, grace: float, *, alone: bool = False) -> int | None:
        """Send SIGTERM, and after `grace` seconds SIGKILL to all that is left; return the exit status."""
        return await ending.stop(process, grace, alone=alone)

    def kill(self, process: Process) -> bool:
        """Send SIGKILL to a process and all its descendants; return True if none were left."""
        return ending.kill(process)

    def signal_group(self, process: Process, signum: int) -> bool:
        """Send a signal to the process group of a process; return False if the process has ended."""
        return ending.signal_group(process, signum)

    def exit_status(self, process: Process) -> int | None:
        """Return the exit code of a process, or the negative number of the signal that killed it."""
        return ending.exit_status(process)

    def alive(self, process: Process) -> bool:
        """Return whether a process runs; a zombie does not."""
        return process.child.alive()

    def descendants(self, process: Process) -> list[int]:
        """Return the pids of a process and its descendants."""
        return ending.descendants(process)

    async def output(self, argv: Sequence[str], env: Mapping[str, str]) -> bytes:
        """Run a program for a minute at most, and return what it prints. Errors: OSError, TimeoutError."""
        null = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(
            *argv,
            env=dict(env),
            stdin=null,
            stdout=asyncio.subprocess.PIPE,
            stderr=null,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_OUTPUT_SECONDS):
                out, _ = await process.communicate()
                return out
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    def prestart(self, most: int) -> None:
        """Set the number of prestarted interpreters."""
        self._pool.resize(most)

    def close(self) -> None:
        """End the interpreters that were started ahead of time."""
        self._pool.close()
