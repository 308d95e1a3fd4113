"""Run the manager: ``python -m jupyter_sessions.manager``. The local backend starts it when needed."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from jupyter_sessions import config
from jupyter_sessions.errors import BackendUnavailable, SessionError
from jupyter_sessions.manager.app import managing, until_idle
from jupyter_sessions.manager.manager_lock import claim
from jupyter_sessions.manager.run.logs import MANAGER_BYTES, AtMost, trim
from jupyter_sessions.manager.runtime.helpers import HELPERS
from jupyter_sessions.manager.runtime.limits import CGROUPS, cgroup, choose
from jupyter_sessions.manager.runtime.processes import ProcessRuntime
from jupyter_sessions.manager.settings import settings_of
from jupyter_sessions.wire.places import StateFolder, place

log = logging.getLogger("jupyter_sessions")

CLAIM_SECONDS = 20.0
LINGER_SECONDS = 1.0
"""Clients that have just read the contact file still get an answer."""
_TRIM_SECONDS = 60.0
_DESCRIPTORS = 65536
_LINES = 100
"""The most times that a message is logged in a minute: a repeated failure must not fill the disk."""


def main() -> int:
    """Become the manager of this user on this host. Return 0 also if one runs already."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(AtMost(_LINES))
    _raise_limit()
    try:
        claimed = _claim()
        if claimed is not None:
            asyncio.run(manage(*claimed))
    except (SessionError, OSError) as error:
        log.error("%s", error)
        return 1
    return 0


def _raise_limit() -> None:
    """Raise the limit of descriptors: a session with notebooks needs about 26, and many systems allow 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _claim() -> tuple[StateFolder, int] | None:
    """Return a state folder to manage, or None if another manager runs. Waits for a manager that starts or ends.

    Errors: BackendUnavailable if that manager does neither in time.
    """
    wanted = place()
    deadline = time.monotonic() + CLAIM_SECONDS
    while (claimed := claim(wanted)) is None:
        if wanted.running():
            log.info("another manager is running")
            return None
        if time.monotonic() > deadline:
            raise BackendUnavailable(
                f"Another manager uses {wanted.folder} and does not answer.", hint="End that process."
            )
        time.sleep(0.05)
    return claimed


async def manage(where: StateFolder, keep_fd: int) -> None:
    """Serve until a signal, or until there was no session and no request for a while."""
    configured = config.load()
    HELPERS.install(where.folder)
    # This leaves the limits of a session if possible.
    limits = choose(
        key=where.key,
        records=where.folder / "cages",
        drivers=CGROUPS if configured.cgroups else (),
        pids=configured.pids,
    )
    _leave_bounds()
    settings = settings_of(configured)
    runtime = ProcessRuntime(limits, (keep_fd,), settings.warm_pool)
    async with managing(settings, where, runtime, linger=LINGER_SECONDS) as manager:
        gc.freeze()  # With very many sessions, a full collection would stop the loop for more than 100 ms.
        works = (_keep_short(where.folder / "manager.log"), asyncio.to_thread(_preload))
        beside = [*map(asyncio.ensure_future, works)]
        ill = await _until_told(asyncio.create_task(until_idle(manager.app)), manager.presence)
        for task in beside:
            task.cancel()
    if ill:
        _start_next()


def _leave_bounds() -> None:
    """Leave the limits of the process that started this manager, because the manager serves other clients, too.

    Errors: BackendUnavailable inside a session whose limits cannot be left: the manager would end with the session.
    """
    if any(cgroup.outside(place.folder) != place.folder for place in cgroup.own().values()):
        raise BackendUnavailable(
            "This process runs in a session, and a session manager that it starts would end with the session.",
            hint="Start the manager outside of sessions: run `jupyter session ps` in a terminal of this machine.",
        )
    with suppress(OSError, AttributeError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("0")


def _preload() -> None:
    """Import rarely used modules while the environment of this manager still exists."""
    for name in ("jupyter_client.kernelspec", "jupyter_client.manager", "pynvml", "httpcore"):
        with suppress(ImportError):
            importlib.import_module(name)


async def _keep_short(log_file: Path) -> None:
    """Trim the manager's own log, for ever."""
    while True:
        trim(log_file, MANAGER_BYTES)
        await asyncio.sleep(_TRIM_SECONDS)


async def _until_told(idle: asyncio.Task[None], presence: asyncio.Task[None]) -> bool:
    """Wait until the manager should end. Return whether it ends so that the next manager repairs something."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, idle.cancel)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    await asyncio.wait([idle, presence], return_when=asyncio.FIRST_COMPLETED)
    if presence.done():
        log.warning("this manager ends so that the next one repairs its files: %s", presence.exception())
    return presence.done()


def _start_next() -> None:
    """Start another manager, which waits until this one has ended. If that fails, the next client starts one."""
    with suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-m", "jupyter_sessions.manager"],
            stdin=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )


if __name__ == "__main__":
    sys.exit(main())
