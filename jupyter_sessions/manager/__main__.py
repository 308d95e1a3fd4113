"""Run the manager: ``python -m jupyter_sessions.manager``. Backends start it; nobody needs to."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import math
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from jupyter_sessions import config
from jupyter_sessions._version import __version__
from jupyter_sessions.amounts import GPU_SLOT, SHARES_SLOT, parse_slots
from jupyter_sessions.errors import BackendUnavailable, SessionError
from jupyter_sessions.manager.api.hosts import Hosts
from jupyter_sessions.manager.api.manager import SETTINGS
from jupyter_sessions.manager.app import make_app, serve, until_idle
from jupyter_sessions.manager.core import mounts
from jupyter_sessions.manager.core.events import Bus
from jupyter_sessions.manager.core.rebuild import open_store
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.manager.live_settings import LiveSettings
from jupyter_sessions.manager.manager_lock import claim
from jupyter_sessions.manager.presence import Presence
from jupyter_sessions.manager.run.logs import MANAGER_BYTES, AtMost, trim
from jupyter_sessions.manager.runtime import capacity, gpus, limits
from jupyter_sessions.manager.runtime.helpers import HELPERS
from jupyter_sessions.manager.runtime.limits import cgroup
from jupyter_sessions.manager.schedule.placement import Capacity
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.identity import here, own_identity
from jupyter_sessions.wire.own_ports import listen_on_new_port, ports_of
from jupyter_sessions.wire.places import Contact, StateFolder, place

log = logging.getLogger("jupyter_sessions")

CLAIM_SECONDS = 20.0
LINGER_SECONDS = 1.0
_TRIM_SECONDS = 60.0
_MIB = 1024**2
_DESCRIPTORS = 65536
_LINES = 100
"""How often a message may be logged in a minute: what goes wrong at each try must not fill a disk."""


def main() -> int:
    """Become the manager of this user on this host; 0 also if there is one already."""
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
    """Notebooks on a session take about 26 descriptors of its manager; many systems begin with 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _claim() -> tuple[StateFolder, int] | None:
    """A place to manage; None if another manager runs. One that just starts or ends is waited for.

    Errors: SessionError if it does neither.
    """
    wanted = place()
    deadline = time.monotonic() + CLAIM_SECONDS
    while (claimed := claim(wanted)) is None:
        if wanted.running():
            log.info("another manager is running")
            return None
        if time.monotonic() > deadline:
            hint = "End that process."
            raise BackendUnavailable(f"Another manager holds {wanted.folder} and does not answer.", hint=hint)
        time.sleep(0.05)
    return claimed


async def manage(where: StateFolder, keep_fd: int) -> None:
    """Serve until told to stop, or until nothing has lived here for a while."""
    settings = config.load()
    HELPERS.install(where.folder)
    store = open_store(where.folder)
    last, now = store.last_host(), here()
    run_folder = where.run_folder()
    sessions = _sessions(settings, store, where, run_folder, keep_fd)
    sessions.adopt(last, now)
    gc.freeze()  # Of very many sessions, a look through all objects stops the loop for more than 100 ms.
    store.set_host(now)
    listener = listen_on_new_port(where)
    host, port = listener.getsockname()
    socket = run_folder / "manager.sock"
    remove(socket)
    contact = Contact(
        identity=own_identity(),
        socket=str(socket),
        url=f"http://{host}:{port}",
        keypair=store.keys.first.pair,
        version=__version__,
    )
    allowed = Hosts(settings.allowed_hosts, frozenset(ports_of(where)) - {port})
    app = make_app(store, sessions, contact.audience, allowed)
    live = LiveSettings(settings, lambda now: _apply(now, sessions))
    app[SETTINGS] = live
    runner = await serve(app, str(socket), listener)
    where.write_contact(contact)
    log.info("manager %s listens on %s and %s", __version__, socket, contact.url)
    presence = Presence(where, contact, runner, sessions, live)
    looking = asyncio.create_task(presence.keep())
    works = (_keep_short(where.folder / "manager.log"), asyncio.to_thread(_preload))
    beside = [looking, *map(asyncio.ensure_future, works)]
    ill = await _until_told(asyncio.create_task(until_idle(app, live)), looking)
    for task in beside:
        task.cancel()
    where.contact_file.unlink(missing_ok=True)
    await asyncio.sleep(LINGER_SECONDS)  # Who has just read the file still gets an answer.
    await sessions.close()
    await runner.cleanup()
    store.close()
    presence.close()
    remove(socket)
    where.leave_run_folder()
    if ill:
        _start_next()


def _sessions(
    settings: config.JupyterSessions, store: Store, where: StateFolder, run_folder: Path, keep_fd: int
) -> SessionManager:
    fences = _limits(settings, where.key, where.folder / "cages")  # May lead out of a session's own.
    _leave_bounds()
    return SessionManager(
        store=store,
        bus=Bus(),
        capacity=_capacity(settings),
        limits=fences,
        run_folder=run_folder,
        state_folder=where.folder,
        keep_fds=(keep_fd,),
        on_live=lambda live: _mark(where.live_file, live),
        owner_grace=settings.owner_grace,
        folders=mounts.configured(settings.folders),
        warm_pool=settings.warm_pool,
    )


def _apply(settings: config.JupyterSessions, sessions: SessionManager) -> None:
    """Go on with a changed configuration."""
    sessions.reconfigure(
        _capacity(settings), mounts.configured(settings.folders), settings.owner_grace, settings.warm_pool
    )


def _capacity(settings: config.JupyterSessions) -> Capacity:
    found = capacity.detect({})  # What the environment says is of who started it, and not of all who ask.
    slots = {"cpu": found.cpu, "mem": Decimal(found.mem // _MIB * _MIB)}
    groups = gpus.configured(settings.gpus) if settings.gpus else gpus.discover()
    devices = gpus.select(groups, None)
    slot, each = (SHARES_SLOT, settings.gpu_shares) if settings.gpu_shares else (GPU_SLOT, 1)
    slots[slot] = Decimal(len(devices) * each)
    for name, most in _most(settings.max_resources).items():
        if name in slots:
            slots[name] = min(slots[name], most)
    uuids = [gpu.uuid for gpu in devices[: math.ceil(slots[slot] / each)]]
    return Capacity(slots, uuids, settings.max_sessions, settings.gpu_shares, groups=groups)


def _leave_bounds() -> None:
    """Shed what holds for whoever started this manager, for it serves others, too.

    Errors: BackendUnavailable within the limits of a session that it may not leave: it would end with it.
    """
    if any(cgroup.outside(place.folder) != place.folder for place in cgroup.own().values()):
        raise BackendUnavailable(
            "The process that asks runs in a session, and a session manager that it starts would end with that session.",
            hint="Start it outside of sessions: run `jupyter session ps` in a terminal of this machine.",
        )
    with suppress(OSError, AttributeError):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("0")


def _most(asked: dict[str, Any]) -> dict[str, Decimal]:
    """Amounts by slot; unlike in a request, 0 means none."""
    none = {name: Decimal(0) for name, amount in asked.items() if str(amount).strip() == "0"}
    return none | parse_slots(asked)


def _limits(settings: config.JupyterSessions, key: str, records: Path) -> limits.Limits:
    if settings.cgroups:
        return limits.choose(key=key, records=records, pids=settings.pids)
    return limits.choose(key=key, records=records, drivers=(), pids=settings.pids)


def _mark(file: Path, live: bool) -> None:
    try:
        file.touch() if live else file.unlink(missing_ok=True)
    except OSError as error:
        log.error("%s: %s", file, error)


def _preload() -> None:
    """Import what is only needed at times, while the environment that this manager came from is still there."""
    for name in ("jupyter_client.kernelspec", "jupyter_client.manager", "pynvml", "httpcore"):
        with suppress(ImportError):
            importlib.import_module(name)


async def _keep_short(log_file: Path) -> None:
    """Keep the manager's own log within bounds, for ever."""
    while True:
        trim(log_file, MANAGER_BYTES)
        await asyncio.sleep(_TRIM_SECONDS)


async def _until_told(idle: asyncio.Task[None], presence: asyncio.Task[None]) -> bool:
    """Return once the manager is to end; whether that is for something that the next one puts right."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, idle.cancel)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    await asyncio.wait([idle, presence], return_when=asyncio.FIRST_COMPLETED)
    if presence.done():
        log.warning("the next manager puts it right: %s", presence.exception())
    return presence.done()


def _start_next() -> None:
    """Start another manager, which waits until this one has ended. Without it, whoever asks next does."""
    with suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-m", "jupyter_sessions.manager"],
            stdin=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )


if __name__ == "__main__":
    sys.exit(main())
