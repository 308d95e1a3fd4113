"""One session's life on this machine: started, watched, restarted, ended, or taken over."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from typing import Any

from jupyter_sessions.amounts import human_size
from jupyter_sessions.errors import NotRunning
from jupyter_sessions.manager.core import mounts
from jupyter_sessions.manager.core.changes import LimitsDescribed, ServiceUsed
from jupyter_sessions.manager.core.expiry import Activity
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.transitions import (
    USER_REQUESTED,
    Degraded,
    EndDecided,
    Exited,
    Failed,
    Ready,
    Restarting,
    Terminated,
    Terminating,
    Transition,
)
from jupyter_sessions.manager.endpoints.kernel_endpoint import SessionEndpoint, check_kernel
from jupyter_sessions.manager.endpoints.kernel_link import KernelLink
from jupyter_sessions.manager.endpoints.transport import Transport
from jupyter_sessions.manager.run.cluster_members import ClusterMembers, together
from jupyter_sessions.manager.run.context import SupervisorContext
from jupyter_sessions.manager.run.logs import last_line
from jupyter_sessions.manager.run.member import BootstrapFailed, Member
from jupyter_sessions.manager.run.programs import Programs
from jupyter_sessions.manager.run.services import ServiceLauncher
from jupyter_sessions.manager.run.usage import Meter
from jupyter_sessions.manager.runtime import gpu_usage
from jupyter_sessions.manager.runtime.ending import describe_exit
from jupyter_sessions.manager.runtime.launch import LaunchError, Process
from jupyter_sessions.manager.runtime.limits import LimitsError, LimitsGroup
from jupyter_sessions.model import Endpoint, because, standing

__all__ = ["SessionSupervisor", "SupervisorContext"]

log = logging.getLogger("jupyter_sessions")
READY_SECONDS, GRACE_SECONDS, SAMPLE_SECONDS = 120.0, 5.0, 1.0


class SessionSupervisor:
    """Looks after one session from its start to its end; `life` is the whole story."""

    def __init__(self, record: Record, shop: SupervisorContext, endpoint: SessionEndpoint) -> None:
        self.record = record
        self._shop = shop
        self._runtime = shop.runtime
        self._endpoint = endpoint
        self.main = Member(record, shop, hear=endpoint.track)
        self._subs = ClusterMembers(record, shop, self._sub_lost)
        self.members = [self.main, *self._subs.all]
        self._transport = Transport(record, shop.machine, shop.state_folder)
        self._services: ServiceLauncher | None = None
        self._programs: Programs | None = None
        self._meter = Meter(record.slots, self._limits_groups, self.cpu_ms, lambda: record.gpus)

    # The story.

    async def life(self) -> None:
        """Start, or take over what runs already, and stay until the end."""
        await self._live()
        await self.kill()
        await self._endpoint.end()  # Not when cancelled: sessions outlive the manager.
        for member in self.members:
            await member.clean_up()

    async def _live(self) -> None:
        try:
            process = await self._found() or await self._launch()
            while True:
                await self._attend(process)
                self.main.journal.close(self._why_gone())
                await self.kill()  # What it left behind.
                self._subs.close_all(self._why_gone())
                if not self._goes_on(process):
                    break
                process = await self._launch()
            self._end(self._runtime.exit_status(process))
        except (LaunchError, LimitsError) as error:
            await self.kill()
            status = error.exit_code if isinstance(error, BootstrapFailed) else self.record.exit_code
            self._fail(self.record.end_reason or f"failed-to-start: {error}", status)
        except Exception as error:
            log.exception("session %s", self.record.name)
            self._fail(f"the manager failed: {error}", self.record.exit_code)

    async def _found(self) -> Process | None:
        """The main process that a manager before this one started, if it noted one."""
        record = self.record
        if record.process is None:
            return None
        why = self.main.take_over(record.process)
        if why := await self._subs.take_over() or why:
            self._apply(EndDecided(why))
        return record.process

    async def _launch(self) -> Process:
        self._transport.recall()
        first = self.record.status == "PREPARING" and not self._transport.retries
        for member in self.members:
            await member.prepare()
        self._apply(LimitsDescribed(self._means()))
        if first:
            await self._bootstrap()
        process = await self.main.launch()
        await self._subs.launch()
        return process

    def _means(self) -> dict[str, str]:
        """By what it is held to what it asked for, in words for people."""
        record, means = self.record, dict(self._runtime.limits.means)
        means["pids"] = f"{self.main.most_pids:,} ({means['pids']})"
        if record.mounts:
            means["folders"] = mounts.how(record.mounts)
        if "shmem" in record.resource_opts:
            means["shmem"] = "counts as memory, not limited by itself"
        return means | self._transport.means()

    async def _bootstrap(self) -> None:
        """Make the working folder ready. Errors: LaunchError."""
        mounts.link(self.record.mounts, self.record.launch.cwd)
        guard = asyncio.create_task(self._watch_memory())
        try:
            await together(member.bootstrap() for member in self.members)
        finally:
            guard.cancel()

    async def _attend(self, process: Process) -> None:
        """Be there until the main process is gone, with code running in it as soon as it is ready."""
        main = self.main
        self._services = ServiceLauncher(self.record, main)
        self._programs = Programs(self.record, main)
        link = main.connect()
        gone = asyncio.create_task(self._runtime.wait(process))
        ready = asyncio.create_task(self._become_ready(link))
        guard = asyncio.create_task(self._watch_memory())
        subs = asyncio.create_task(self._subs.watch())
        mute = asyncio.create_task(self._transport.watch(main.connection.folder, main.pids, self.kill))
        if self.record.status == "TERMINATING" or self.record.to_restart or self.record.end_reason:
            await self.kill()  # An earlier manager did not come to do it.
        try:
            await gone
        finally:
            for task in (ready, guard, subs, mute, gone):
                task.cancel()
            await asyncio.gather(ready, guard, subs, mute, return_exceptions=True)
            main.disconnect(self._why_gone())
            await self._programs.close()
            await self._services.close()
            self.measure()

    def _why_gone(self) -> str:
        """What to tell those whose code was running."""
        if self.record.to_restart:
            return "The session was restarted."
        if not self.record.end_reason:
            self._notice_memory()
        return f"The session has ended{because(self.record.end_reason or 'its kernel exited')}"

    async def _become_ready(self, link: KernelLink | None) -> None:
        starting = self.record.status in ("PREPARING", "RESTARTING")
        try:
            # One taken over may be busy for hours before it answers.
            async with asyncio.timeout(READY_SECONDS if starting else None):
                _, *info = await asyncio.gather(self._subs.open(), *([link.open()] if link else []))
            # What the kernel said before is read a little later.
            asyncio.get_running_loop().call_later(SAMPLE_SECONDS, self.main.journal.caught_up)
        except TimeoutError:
            self._apply(EndDecided(f"the kernel did not answer within {READY_SECONDS:.0f} s"))
            await self.kill()
            return
        self._endpoint.connect_kernel(link, *info)
        if self.record.status in ("PREPARING", "RESTARTING"):
            self._transport.succeed()
            await self._run_startup()
            self._apply(Ready())

    async def _run_startup(self) -> None:
        try:
            await self.main.run_startup()
        except LaunchError as error:
            log.warning("the startup command of session %s: %s", self.record.name, error)

    async def _sub_lost(self, why: str) -> None:
        """A further member ended by itself: without it a session goes on, but does not begin."""
        if self.record.to_restart or self.record.end_reason or not self.record.live:
            return
        if self.record.usable:
            self._apply(Degraded(why))
        elif self.record.status != "TERMINATING":
            self._apply(EndDecided(f"failed-to-start: {why} before it was ready"))
            await self.kill()

    async def _watch_memory(self) -> None:
        while not self._notice_memory():
            for member in self.members:
                member.tidy()
            self._endpoint.tidy()
            for sub in self._subs.all:
                if sub.over_memory() or sub.over_pids():
                    await sub.kill()
            if self._services is not None:
                await self._services.end_those_over_memory()
            await asyncio.sleep(SAMPLE_SECONDS)
        await self.kill()

    def _notice_memory(self) -> bool:
        why = ""
        if self.main.over_pids():
            most = self.main.most_pids
            why = f"too many processes: it had more than its {most:,} processes and threads; start fewer at once"
        elif self.main.over_memory():
            limit = human_size(float(self.record.member_slots["mem"]))
            why = f"out of memory: it used more than its {limit}; ask for more memory next time"
        if why and why != self.record.end_reason:
            self._apply(EndDecided(why))
        return bool(why)

    def _goes_on(self, process: Process) -> bool:
        """Whether there is to be another main process after one that ended."""
        may = not self.record.end_reason and not self._notice_memory()
        return self.record.to_restart or (may and self._transport.fall_back()) or self._revive(process)

    def _revive(self, process: Process) -> bool:
        """Whether a kernel that ended by itself is to be started anew, for a notebook is connected to it."""
        record = self.record
        if not record.notebook or not record.usable or record.end_reason or self._notice_memory():
            return False
        self._begin_restart(
            f"its kernel ended and was restarted: {describe_exit(self._runtime.exit_status(process))}"
        )
        return True

    def _begin_restart(self, why: str) -> None:
        self._endpoint.forget()
        self._apply(Restarting(why))

    def _end(self, status: int | None) -> None:
        record = self.record
        if record.status == "PREPARING":
            if not record.batch or record.end_reason:
                self._fail(record.end_reason or self._early_end(status), status)
                return
            self._apply(Ready())  # It was done so soon.
        exited = Exited(status, self.stats(), failed=bool(record.end_reason))
        if record.status != "TERMINATING":
            self._apply(exited, Terminating(record.end_reason))
            self._apply(Terminated())
        else:
            self._apply(exited, Terminated())

    def _early_end(self, status: int | None) -> str:
        said = last_line(self.main.logs.kernel)
        ending = f"failed-to-start: the kernel ended before it was ready ({describe_exit(status)})"
        return (f"{ending}: {said}" if said else ending) + self._transport.hint()

    def _fail(self, why: str, status: int | None) -> None:
        if self.record.status == "TERMINATING":
            self._apply(Exited(status, failed=True), Terminated())
        elif self.record.live:
            self._apply(Failed(why, status))

    # What others may ask.

    async def terminate(self, why: str, *, forced: bool) -> None:
        """End the session: politely, then after a grace time by force; or by force at once."""
        self._apply(Terminating(why))
        await self._stop(0 if forced else GRACE_SECONDS)

    async def restart(self) -> None:
        """Start its processes anew; what they had in memory is gone, all else stays."""
        self._begin_restart(USER_REQUESTED)
        await self._stop(GRACE_SECONDS)

    async def kill(self) -> None:
        """End all its processes now."""
        await asyncio.gather(*(member.kill() for member in self.members))

    async def _stop(self, grace: float) -> None:
        await asyncio.gather(*(member.stop(grace) for member in self.members))

    def interrupt(self) -> None:
        """Interrupt what runs. Errors: NotRunning."""
        self.check_running()
        self.programs.interrupt()
        if self.main.link is not None and self.record.launch.interrupt_mode == "message":
            self.main.link.interrupt()
        elif self.record.process is not None:
            self._runtime.signal_group(self.record.process, signal.SIGINT)

    async def interrupt_gently(self) -> None:
        """Interrupt what runs, then end what runs beside a kernel; both have the grace time to tidy up."""
        with suppress(NotRunning, TimeoutError):
            if self._works():
                self.interrupt()
            async with asyncio.timeout(GRACE_SECONDS):
                while self._works():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        if self._programs is not None:
            await self._programs.stop(GRACE_SECONDS)

    def _works(self) -> bool:
        """Whether its kernel computes, or a command runs."""
        link, process = self.main.link, self.record.process
        main = link.busy if link else process is not None and self._runtime.alive(process)
        return main or (self._programs is not None and self._programs.busy)

    def check_running(self) -> None:
        """Errors: NotRunning with the status and its reason."""
        if not self.record.usable:
            raise NotRunning(
                standing(self.record.name, self.record.status, self.record.status_info),
                hint="Wait until it is running.",
            )

    def running_link(self) -> KernelLink:
        """The line to its kernel. Errors: NotRunning, NotSupported for a batch session."""
        check_kernel(self.record)
        self.check_running()
        assert self.main.link is not None  # noqa: S101
        return self.main.link

    @property
    def programs(self) -> Programs:
        """What runs beside its kernel. Errors: NotRunning."""
        self.check_running()
        assert self._programs is not None  # noqa: S101
        return self._programs

    @property
    def services(self) -> ServiceLauncher:
        """Its service ports. Errors: NotRunning."""
        self.check_running()
        assert self._services is not None  # noqa: S101
        return self._services

    async def start_service(self, name: str, *, forced: bool = False) -> Endpoint:
        """Where a service listens, started if need be. Errors: NotRunning, NotFound, NoRoom, LaunchError."""
        endpoint = await self.services.start(name, forced=forced)
        self._apply(ServiceUsed())
        return endpoint

    def service_log(self, name: str) -> str:
        """The end of what a service printed."""
        return self._services.log(name) if self._services else ""

    def cpu_ms(self) -> int:
        """CPU time of all its processes, over restarts."""
        return sum(member.cpu_ms() for member in self.members)

    def measure(self) -> None:
        """Note the CPU time of each member as of now."""
        for member in self.members:
            member.measure()

    def activity(self) -> Activity:
        """What tells whether it is in use."""
        links = [member.link for member in self.members if member.link]
        busy = self._works() or any(link.busy for link in links)
        times = sum(link.times_busy for link in links) + (self._programs.times_busy if self._programs else 0)
        gpu = max((device.busy or 0.0 for device in gpu_usage.usage(self.record.gpus)), default=0.0)
        return Activity(busy=busy, times_busy=times, cpu_ms=self.cpu_ms(), gpu=gpu)

    def stats(self) -> dict[str, Any]:
        """What all its members use together; see `usage`."""
        return self._meter.stats()

    def _limits_groups(self) -> list[LimitsGroup]:
        return [member.limits_group for member in self.members if member.limits_group]

    def environment(self) -> dict[str, str]:
        """The environment of its main member's processes."""
        return self.main.environment()

    def _apply(self, *transitions: Transition) -> None:
        self._shop.machine.apply(self.record, *transitions)
