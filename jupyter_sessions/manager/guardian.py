"""One session's life on this machine: started, watched, restarted, ended, or taken over."""

from __future__ import annotations

import asyncio
import logging
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions.errors import NotRunning
from jupyter_sessions.manager.kernel import Connection, KernelLink
from jupyter_sessions.manager.logs import Logs, last_line
from jupyter_sessions.manager.record import Record, socket_folder
from jupyter_sessions.manager.runtime import gpus, threads
from jupyter_sessions.manager.runtime.ending import describe_exit
from jupyter_sessions.manager.runtime.launch import (
    LaunchError,
    Process,
    exit_status,
    launch,
    signal_group,
    stop,
    wait,
)
from jupyter_sessions.manager.runtime.limits import Cage, CageGone, Limits, LimitsError
from jupyter_sessions.manager.services import Services
from jupyter_sessions.model import human_size
from jupyter_sessions.wire.places import private_folder
from jupyter_sessions.wire.relay import Relay, ZmqBackEnd

log = logging.getLogger("jupyter_sessions")
READY_SECONDS = 120.0
GRACE_SECONDS = 5.0
SAMPLE_SECONDS = 1.0
_UMASK = 0o022

Told = Callable[[Record, str], None]


class Workshop(msgspec.Struct, frozen=True, kw_only=True):
    """What guardians share: `keep` saves a record, `tell` publishes an event of it, `changed` does both.

    `left` is called when a session's owner is done with it.
    """

    limits: Limits
    run_folder: Path
    state_folder: Path
    keep_fds: tuple[int, ...]
    keep: Callable[[Record], None]
    changed: Told
    tell: Told
    left: Callable[[Record], None]


class Guardian:
    """Looks after one session from its start to its end; `life` is the whole story."""

    def __init__(self, record: Record, shop: Workshop) -> None:
        self.record = record
        self._shop = shop
        self._folder = Path(record.folder)
        self._connection = Connection(
            shop.run_folder / socket_folder(record.id), self._folder / "kernel.json"
        )
        self.logs = Logs(self._folder)
        self.link: KernelLink | None = None
        self._cage: Cage | None = None
        self._why_ended = ""
        self._why_restarted = ""
        self._restarting = False
        self._cpu_ms_elsewhere = 0
        self._services: Services | None = None
        self._relay: Relay | None = None

    # The story.

    async def life(self) -> None:
        """Start, or take over what runs already, and stay until the end."""
        try:
            await self._live()
        finally:
            if self._relay is not None:
                self._relay.close()
        await self._clean_up()  # Not when cancelled: sessions outlive the manager.

    async def _live(self) -> None:
        try:
            process = self._found() or await self._launch()
            while True:
                await self._attend(process)
                await self.kill()  # What it left behind.
                if not self._restarting and not self._revive(process):
                    break
                process = await self._launch()
            self._end(exit_status(process))
        except (LaunchError, LimitsError) as error:
            self._fail(f"failed-to-start: {error}")
        except Exception as error:
            log.exception("session %s", self.record.name)
            self._fail(f"the manager failed: {error}")

    def _found(self) -> Process | None:
        """The main process that a manager before this one started, if it noted one."""
        record = self.record
        if record.process is None:
            return None
        try:
            self._cage = self._shop.limits.open(record.id, *self._amounts())
        except CageGone as error:
            self._cage = self._shop.limits.create(record.id, *self._amounts())
            self._why_ended = f"the manager lost hold of it: {error}"
        for process in (record.process, *record.service_processes.values()):
            self._cage.adopt(process)
        if not self._cage.attach:  # Without control groups, what ended before is forgotten.
            self._cpu_ms_elsewhere = record.cpu_ms_at_launch
        self._restarting = record.status == "RESTARTING"
        self._listen(again=True)
        return record.process

    async def _launch(self) -> Process:
        record = self.record
        if self._cage is None:
            self._cage = self._shop.limits.create(record.id, *self._amounts())
            record.limits = dict(self._shop.limits.means)
        record.cpu_ms_at_launch = self.cpu_ms()
        self._connection.make()
        self._listen()
        process = await launch(
            [part.replace("{connection_file}", str(self._connection.file)) for part in record.launch.argv],
            env=self.environment(),
            cwd=record.launch.cwd,
            log=str(self.logs.kernel),
            folder=str(self._folder / "main"),
            cage=self._cage,
            keep_fds=self._shop.keep_fds,
            umask=_UMASK if record.launch.umask is None else record.launch.umask,
        )
        record.process = process
        self._restarting = False
        self._changed("kernel_creating")
        return process

    def _listen(self, *, again: bool = False) -> None:
        """Let front ends in; they stay connected while kernels come and go."""
        if self._relay is None:
            private_folder(self._connection.folder)
            back = ZmqBackEnd(self._connection.stem)
            tell = asyncio.get_running_loop().call_soon_threadsafe

            def asked_to_end(owner: bool, restart: bool) -> None:
                if owner and not restart:
                    tell(self._shop.left, self.record)

            self._relay = Relay(self._connection.front, self._connection.key(), back, asked_to_end)
            self._relay.open(again=again)

    async def _attend(self, process: Process) -> None:
        """Be there until the main process is gone, with code running in it as soon as it is ready."""
        assert self._cage is not None  # noqa: S101
        self._services = Services(
            self.record, self._cage, self._folder, self._connection.folder, self.environment
        )
        self.link = KernelLink(self._connection, self.logs.take)
        gone = asyncio.create_task(wait(process))
        ready = asyncio.create_task(self._become_ready())
        guard = asyncio.create_task(self._watch_memory())
        if self.record.status == "TERMINATING" or self._restarting or self._why_ended:
            await self.kill()  # An earlier manager did not come to do it.
        try:
            await gone
        finally:
            for task in (ready, guard, gone):
                task.cancel()
            await asyncio.gather(ready, guard, return_exceptions=True)
            self.link.close(self._why_gone())
            self.record.cpu_ms_before = self.cpu_ms()

    def _why_gone(self) -> str:
        """What to tell those whose code was running."""
        if self._restarting:
            return "The session was restarted."
        if not self._why_ended:
            self._notice_memory()
        return f"The session has ended: {self._why_ended or 'its kernel exited'}."

    async def _become_ready(self) -> None:
        assert self.link is not None  # noqa: S101
        starting = self.record.status in ("PREPARING", "RESTARTING")
        try:
            # One taken over may be busy for hours before it answers.
            async with asyncio.timeout(READY_SECONDS if starting else None):
                await self.link.open()
        except TimeoutError:
            self._why_ended = f"the kernel did not answer within {READY_SECONDS:.0f} s"
            await self.kill()
            return
        if self.record.status in ("PREPARING", "RESTARTING"):
            self.record.move("RUNNING", self._why_restarted)
            self._why_restarted = ""
            self._changed("kernel_started")
            self._shop.tell(self.record, "session_started")

    async def _watch_memory(self) -> None:
        while not self._notice_memory():
            self.logs.trim()
            await asyncio.sleep(SAMPLE_SECONDS)
        await self.kill()

    def _notice_memory(self) -> bool:
        if self._cage is None or not self._cage.over_memory():
            return False
        limit = human_size(float(self.record.slots["mem"]))
        self._why_ended = f"out of memory: it used more than its {limit}; ask for more memory next time"
        return True

    def _revive(self, process: Process) -> bool:
        """Whether a kernel that ended by itself is to be started anew, for a notebook is connected to it."""
        record = self.record
        if not record.notebook or record.status != "RUNNING" or self._why_ended or self._notice_memory():
            return False
        self._why_restarted = f"its kernel ended and was restarted: {describe_exit(exit_status(process))}"
        self._begin_restart(self._why_restarted)
        return True

    def _begin_restart(self, why: str) -> None:
        self._restarting = True
        self.record.restarts += 1
        self.record.move("RESTARTING", why)
        self._changed("session_restarting")

    def _end(self, status: int | None) -> None:
        record = self.record
        record.exit_code = status
        if record.status == "PREPARING":
            self._fail(self._why_ended or self._early_end(status))
            return
        record.last_stat = self.stats()
        if record.status != "TERMINATING":
            record.move("TERMINATING", self._why_ended or f"self-terminated: {describe_exit(status)}")
            self._changed("session_terminating")
        self._terminated()

    def _terminated(self) -> None:
        self.record.move("TERMINATED", self.record.status_info)
        self._changed("kernel_terminated")
        self._shop.tell(self.record, "session_terminated")

    def _early_end(self, status: int | None) -> str:
        said = last_line(self.logs.kernel)
        ending = f"failed-to-start: the kernel ended before it was ready ({describe_exit(status)})"
        return f"{ending}: {said}" if said else ending

    def _fail(self, why: str) -> None:
        if self.record.status == "TERMINATING":
            self._terminated()
        elif self.record.live:
            self.record.move("ERROR", why)
            self._changed("session_failure")

    async def _clean_up(self) -> None:
        if self._cage is not None:
            await self._cage.kill()
            if not self._cage.remove():
                log.warning("the limits of session %s cannot be removed", self.record.id)
        self._connection.file.unlink(missing_ok=True)
        shutil.rmtree(self._connection.folder, ignore_errors=True)

    # What others may ask.

    async def terminate(self, why: str, *, forced: bool) -> None:
        """End the session: politely, then after a grace time by force; or by force at once."""
        self._restarting = False
        self._why_ended = why
        self.record.move("TERMINATING", why)
        self._changed("session_terminating")
        await self._stop(0 if forced else GRACE_SECONDS)

    async def restart(self) -> None:
        """Start its processes anew; what they had in memory is gone, all else stays."""
        self._begin_restart("user-requested")
        await self._stop(GRACE_SECONDS)

    async def kill(self) -> None:
        """End all its processes now."""
        if self._cage is not None:
            await self._cage.kill()

    def interrupt(self) -> None:
        """Interrupt what runs. Errors: NotRunning."""
        link = self.running_link()
        if self.record.launch.interrupt_mode == "message":
            link.interrupt()
        elif self.record.process is not None:
            signal_group(self.record.process, signal.SIGINT)

    def running_link(self) -> KernelLink:
        """The line to its kernel. Errors: NotRunning with the status and its reason."""
        if self.link is None or not self.record.usable:
            info = f" ({self.record.status_info})" if self.record.status_info else ""
            raise NotRunning(
                f"The session '{self.record.name}' is {self.record.status}{info}.",
                hint="Wait until it is RUNNING.",
            )
        return self.link

    def front(self) -> tuple[str, str]:
        """What the paths of the sockets for front ends begin with, and the key. Errors: NotRunning."""
        self.running_link()
        self.record.num_queries += 1
        return self._connection.front, self._connection.key().decode()

    async def start_service(self, name: str, base_url: str) -> Path:
        """The socket of a service, started if need be. Errors: NotRunning, NotFound, LaunchError."""
        self.running_link()
        assert self._services is not None  # noqa: S101
        socket = await self._services.start(name, base_url)
        self.record.num_queries += 1
        self._shop.keep(self.record)
        return socket

    def service_log(self, name: str) -> str:
        """The end of what a service printed."""
        return self._services.log(name) if self._services else ""

    def cpu_ms(self) -> int:
        """CPU time of all its processes, over restarts."""
        if self._cage is None:
            return self.record.cpu_ms_before
        return max(self.record.cpu_ms_before, self._cpu_ms_elsewhere + self._cage.usage().cpu_ms)

    def stats(self) -> dict[str, Any]:
        """What it used: CPU in ms, memory in bytes (the most at once)."""
        if self._cage is None:
            return {}
        usage = self._cage.usage()
        cpu = {"current": str(self.cpu_ms()), "unit_hint": "msec"}
        mem = {"current": str(usage.mem), "stats.max": str(usage.mem_peak), "unit_hint": "bytes"}
        return {"cpu_used": cpu, "mem": mem}

    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        record = self.record
        default = threads.thread_env(record.slots["cpu"])
        given = record.launch.env | record.environ
        cluster = {
            "SIZE": "1",
            "HOSTS": "main1",
            "ROLE": "main",
            "IDX": "1",
            "HOST": "main1",
            "LOCAL_RANK": "0",
        }
        return (
            default
            | given
            | gpus.visible(record.gpus)
            | {f"BACKENDAI_CLUSTER_{key}": value for key, value in cluster.items()}
            | {
                "BACKENDAI_SESSION_ID": record.id,
                "BACKENDAI_SESSION_NAME": record.name,
                "BACKENDAI_KERNEL_ID": record.id,
            }
        )

    # How.

    async def _stop(self, grace: float) -> None:
        process = self.record.process
        if process is None or self._cage is None:
            return
        if not grace:
            await self.kill()
            return
        if self.link is not None and self.link.shutdown():
            with suppress(TimeoutError):
                await asyncio.wait_for(wait(process), grace)
        await stop(process, grace)

    def _amounts(self) -> tuple[Any, int]:
        return self.record.slots["cpu"], int(self.record.slots["mem"])

    def _changed(self, event: str) -> None:
        self._shop.changed(self.record, event)
