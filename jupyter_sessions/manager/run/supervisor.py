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
from jupyter_sessions.manager.core.expiry import Activity
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.endpoints.kernel_endpoint import Front, check_kernel
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
from jupyter_sessions.manager.runtime.launch import LaunchError, Process, exit_status, signal_group, wait
from jupyter_sessions.manager.runtime.limits import LimitsError, LimitsGroup
from jupyter_sessions.model import Endpoint, because, standing

__all__ = ["SessionSupervisor", "SupervisorContext"]

log = logging.getLogger("jupyter_sessions")
READY_SECONDS, GRACE_SECONDS, SAMPLE_SECONDS = 120.0, 5.0, 1.0


class SessionSupervisor:
    """Looks after one session from its start to its end; `life` is the whole story."""

    def __init__(self, record: Record, shop: SupervisorContext, front: Front) -> None:
        self.record = record
        self._shop = shop
        self._front = front
        self.main = Member(record, shop, hear=front.hear)
        self._subs = ClusterMembers(record, shop, self._sub_lost)
        self.members = [self.main, *self._subs.all]
        self._why_ended = self._why_restarted = ""
        self._restarting = False
        self._transport = Transport(record, shop.state_folder)
        self._services: ServiceLauncher | None = None
        self._programs: Programs | None = None
        self._meter = Meter(record.slots, self._limits_groups, self.cpu_ms, lambda: record.gpus)

    # The story.

    async def life(self) -> None:
        """Start, or take over what runs already, and stay until the end."""
        await self._live()
        await self.kill()
        await self._front.end()  # Not when cancelled: sessions outlive the manager.
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
            self._end(exit_status(process))
        except (LaunchError, LimitsError) as error:
            await self.kill()
            if isinstance(error, BootstrapFailed):
                self.record.exit_code = error.exit_code
            self._fail(self._why_ended or f"failed-to-start: {error}")
        except Exception as error:
            log.exception("session %s", self.record.name)
            self._fail(f"the manager failed: {error}")

    async def _found(self) -> Process | None:
        """The main process that a manager before this one started, if it noted one."""
        record = self.record
        if record.process is None:
            return None
        why = self.main.take_over(record.process)
        self._why_ended = await self._subs.take_over() or why
        self._restarting = record.status == "RESTARTING"
        return record.process

    async def _launch(self) -> Process:
        self._transport.recall()
        first = self.record.status == "PREPARING" and not self._transport.retries
        for member in self.members:
            await member.prepare()
        self.record.limits = self._means()
        if first:
            await self._bootstrap()
        process = await self.main.launch()
        self._changed("kernel_creating")
        await self._subs.launch()
        self._restarting = False
        return process

    def _means(self) -> dict[str, str]:
        """By what it is held to what it asked for, in words for people."""
        record, means = self.record, dict(self._shop.limits.means)
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
        gone = asyncio.create_task(wait(process))
        ready = asyncio.create_task(self._become_ready(link))
        guard = asyncio.create_task(self._watch_memory())
        subs = asyncio.create_task(self._subs.watch())
        mute = asyncio.create_task(self._transport.watch(main.connection.folder, main.pids, self.kill))
        if self.record.status == "TERMINATING" or self._restarting or self._why_ended:
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
        if self._restarting:
            return "The session was restarted."
        if not self._why_ended:
            self._notice_memory()
        return f"The session has ended{because(self._why_ended or 'its kernel exited')}"

    async def _become_ready(self, link: KernelLink | None) -> None:
        starting = self.record.status in ("PREPARING", "RESTARTING")
        try:
            # One taken over may be busy for hours before it answers.
            async with asyncio.timeout(READY_SECONDS if starting else None):
                _, *info = await asyncio.gather(self._subs.open(), *([link.open()] if link else []))
            # What the kernel said before is read a little later.
            asyncio.get_running_loop().call_later(SAMPLE_SECONDS, self.main.journal.caught_up)
        except TimeoutError:
            self._why_ended = f"the kernel did not answer within {READY_SECONDS:.0f} s"
            await self.kill()
            return
        self._front.lead(link, *info)
        if self.record.status in ("PREPARING", "RESTARTING"):
            self._transport.succeed()
            await self._run_startup()
            self._now_running()

    async def _run_startup(self) -> None:
        try:
            await self.main.run_startup()
        except LaunchError as error:
            log.warning("the startup command of session %s: %s", self.record.name, error)

    def _now_running(self) -> None:
        self.record.move("RUNNING", self._why_restarted)
        self._why_restarted = ""
        self._changed("kernel_started")
        self._shop.tell(self.record, "session_started")

    async def _sub_lost(self, why: str) -> None:
        """A further member ended by itself: without it a session goes on, but does not begin."""
        if self._restarting or self._why_ended or not self.record.live:
            return
        if self.record.usable:
            self.record.move("RUNNING_DEGRADED", why)
            self._shop.keep(self.record)
        elif self.record.status != "TERMINATING":
            self._why_ended = f"failed-to-start: {why} before it was ready"
            await self.kill()

    async def _watch_memory(self) -> None:
        while not self._notice_memory():
            for member in self.members:
                member.tidy()
            self._front.tidy()
            for sub in self._subs.all:
                if sub.over_memory() or sub.over_pids():
                    await sub.kill()
            if self._services is not None and await self._services.end_those_over_memory():
                self._shop.keep(self.record)
            await asyncio.sleep(SAMPLE_SECONDS)
        await self.kill()

    def _notice_memory(self) -> bool:
        if self.main.over_pids():
            most = self.main.most_pids
            self._why_ended = f"too many processes: it had more than its {most:,} processes and threads; start fewer at once"
            return True
        if not self.main.over_memory():
            return False
        limit = human_size(float(self.record.member_slots["mem"]))
        self._why_ended = f"out of memory: it used more than its {limit}; ask for more memory next time"
        return True

    def _goes_on(self, process: Process) -> bool:
        """Whether there is to be another main process after one that ended."""
        may = not self._why_ended and not self._notice_memory()
        return self._restarting or (may and self._transport.fall_back()) or self._revive(process)

    def _revive(self, process: Process) -> bool:
        """Whether a kernel that ended by itself is to be started anew, for a notebook is connected to it."""
        record = self.record
        if not record.notebook or not record.usable or self._why_ended or self._notice_memory():
            return False
        self._why_restarted = f"its kernel ended and was restarted: {describe_exit(exit_status(process))}"
        self._begin_restart(self._why_restarted)
        return True

    def _begin_restart(self, why: str) -> None:
        self._restarting = True
        self._front.forget()
        self.record.ended_services = {}
        self.record.restarts += 1
        self.record.move("RESTARTING", why)
        self._changed("session_restarting")

    def _end(self, status: int | None) -> None:
        record = self.record
        record.conclude(status, failed=bool(self._why_ended))
        if record.status == "PREPARING":
            if not record.batch or self._why_ended:
                self._fail(self._why_ended or self._early_end(status))
                return
            self._now_running()  # It was done so soon.
        record.last_stat = self.stats()
        asked = record.status == "TERMINATING"
        if not asked:
            record.move("TERMINATING", self._why_ended or record.why_self_ended())
        if record.batch:
            self._shop.tell(record, f"session_{record.result.lower()}")
        if not asked:
            self._changed("session_terminating")
            self._shop.tell(record, "kernel_terminating")
        self._terminated()

    def _terminated(self) -> None:
        self.record.move("TERMINATED", self.record.status_info)
        self._changed("kernel_terminated")
        self._shop.tell(self.record, "session_terminated")

    def _early_end(self, status: int | None) -> str:
        said = last_line(self.main.logs.kernel)
        ending = f"failed-to-start: the kernel ended before it was ready ({describe_exit(status)})"
        return (f"{ending}: {said}" if said else ending) + self._transport.hint()

    def _fail(self, why: str) -> None:
        self.record.conclude(self.record.exit_code, failed=True)
        if self.record.status == "TERMINATING":
            self._terminated()
        elif self.record.live:
            self.record.move("ERROR", why)
            self._changed("session_failure")

    # What others may ask.

    async def terminate(self, why: str, *, forced: bool) -> None:
        """End the session: politely, then after a grace time by force; or by force at once."""
        self._restarting = False
        self._why_ended = why
        self.record.move("TERMINATING", why)
        self._changed("session_terminating")
        self._shop.tell(self.record, "kernel_terminating")
        await self._stop(0 if forced else GRACE_SECONDS)

    async def restart(self) -> None:
        """Start its processes anew; what they had in memory is gone, all else stays."""
        self._begin_restart("user-requested")
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
            signal_group(self.record.process, signal.SIGINT)

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
        main = link.busy if link else process is not None and process.child.alive()
        return main or (self._programs is not None and self._programs.busy)

    def check_running(self) -> None:
        """Errors: NotRunning with the status and its reason."""
        if not self.record.usable:
            raise NotRunning(
                standing(self.record.name, self.record.status, self.record.status_info),
                hint="Wait until it is RUNNING.",
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
        self.record.num_queries += 1
        self._shop.keep(self.record)
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

    def _changed(self, event: str) -> None:
        self._shop.changed(self.record, event)
