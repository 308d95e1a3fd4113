"""The supervisor of one session: start its processes or take them over, watch, restart and end them."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Mapping
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
from jupyter_sessions.manager.runtime.limits import LimitsError
from jupyter_sessions.model import Endpoint, because, standing

__all__ = ["SessionSupervisor", "SupervisorContext"]

log = logging.getLogger("jupyter_sessions")
READY_SECONDS, GRACE_SECONDS, SAMPLE_SECONDS = 120.0, 5.0, 1.0


class SessionSupervisor:
    """Supervises one session from its start to its end; `life` does all of it."""

    def __init__(self, record: Record, context: SupervisorContext, endpoint: SessionEndpoint) -> None:
        self.record = record
        self._context = context
        self._runtime = context.runtime
        self._endpoint = endpoint
        self.main = Member(record, context, on_output=endpoint.track)
        self._subs = ClusterMembers(record, context, self._on_sub_ended)
        self.members = [self.main, *self._subs.all]
        self._transport = Transport(record, context.machine, context.state_folder)
        self._services: ServiceLauncher | None = None
        self._programs: Programs | None = None
        self._meter = Meter(
            record.slots,
            lambda: [one.limits_group for one in self.members if one.limits_group],
            self.cpu_ms,
            lambda: record.gpus,
        )

    # The life of the session.

    async def life(self) -> None:
        """Start the session, or take over its running processes, and supervise it until its end."""
        await self._run()
        await self.kill()
        await self._endpoint.end()  # Not after a cancel, because sessions outlive the manager.
        for member in self.members:
            await member.clean_up()

    async def _run(self) -> None:
        try:
            process = await self._recover_main() or await self._launch()
            while True:
                await self._supervise(process)
                self.main.journal.close(self._end_message())
                await self.kill()  # End processes that were left behind.
                self._subs.close_all(self._end_message())
                if not self._continues(process):
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

    async def _recover_main(self) -> Process | None:
        """Take over the main process that an earlier manager started. Return None if there is none."""
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
        self._apply(LimitsDescribed(self._describe_limits()))
        if first:
            mounts.link(self.record.mounts, self.record.launch.cwd)
            watch = asyncio.create_task(self._watch_limits())
            try:
                await together(member.bootstrap() for member in self.members)
            finally:
                watch.cancel()
        process = await self.main.launch()
        await self._subs.launch()
        return process

    def _describe_limits(self) -> dict[str, str]:
        """Describe how the limits are enforced, in words for people."""
        record, means = self.record, dict(self._runtime.limits.means)
        means["pids"] = f"{self.main.most_pids:,} ({means['pids']})"
        if record.mounts:
            means["folders"] = mounts.how(record.mounts)
        if "shmem" in record.resource_opts:
            means["shmem"] = "counts as memory, not limited by itself"
        return means | self._transport.means()

    async def _supervise(self, process: Process) -> None:
        """Supervise the main process until it has ended. Code can run as soon as the kernel is ready."""
        main = self.main
        self._programs = Programs(self.record, main)
        self._services = ServiceLauncher(self.record, main, self._programs, self._context.plugins)
        link = main.connect()
        gone = asyncio.create_task(self._runtime.wait(process))
        ready = asyncio.create_task(self._become_ready(link))
        limits = asyncio.create_task(self._watch_limits())
        subs = asyncio.create_task(self._subs.watch())
        silent = asyncio.create_task(self._transport.watch(main.connection.folder, main.pids, self.kill))
        if self.record.status == "TERMINATING" or self.record.to_restart or self.record.end_reason:
            await self.kill()  # An earlier manager ended before it could do so.
        try:
            await gone
        finally:
            for task in (ready, limits, subs, silent, gone):
                task.cancel()
            await asyncio.gather(ready, limits, subs, silent, return_exceptions=True)
            main.disconnect(self._end_message())
            await self._programs.close()
            await self._services.close()
            self.measure()

    def _end_message(self) -> str:
        """Return the reason to tell to clients whose code was running."""
        if self.record.to_restart:
            return "The session was restarted."
        if not self.record.end_reason:
            self._check_limits()
        return f"The session has ended{because(self.record.end_reason or 'its kernel exited')}"

    async def _become_ready(self, link: KernelLink | None) -> None:
        starting = self.record.status in ("PREPARING", "RESTARTING")
        try:
            # A kernel that was taken over may be busy for hours before it replies.
            async with asyncio.timeout(READY_SECONDS if starting else None):
                _, *info = await asyncio.gather(self._subs.open(), *([link.open()] if link else []))
            # Earlier output of the kernel arrives a little later.
            asyncio.get_running_loop().call_later(SAMPLE_SECONDS, self.main.journal.caught_up)
        except TimeoutError:
            self._apply(EndDecided(f"the kernel did not reply within {READY_SECONDS:.0f} s"))
            await self.kill()
            return
        self._endpoint.connect_kernel(link, *info)
        if self.record.status in ("PREPARING", "RESTARTING"):
            self._transport.succeed()
            try:
                await self.main.run_startup()
            except LaunchError as error:
                log.warning("the startup command of session %s did not start: %s", self.record.name, error)
            self._apply(Ready())
        if self._services is not None:
            await self._services.begin(startup=starting)

    async def _on_sub_ended(self, why: str) -> None:
        """Degrade the session after a sub member has ended by itself, or end it if it was starting."""
        if self.record.to_restart or self.record.end_reason or not self.record.live:
            return
        if self.record.usable:
            self._apply(Degraded(why))
        elif self.record.status != "TERMINATING":
            self._apply(EndDecided(f"failed-to-start: {why} before it was ready"))
            await self.kill()

    async def _watch_limits(self) -> None:
        while not self._check_limits():
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

    def _check_limits(self) -> bool:
        why = ""
        if self.main.over_pids():
            most = self.main.most_pids
            why = f"too many processes: it had more than its {most:,} processes and threads; start fewer at a time"
        elif self.main.over_memory():
            limit = human_size(float(self.record.member_slots["mem"]))
            why = f"out of memory: it used more than its {limit}; ask for more memory next time"
        if why and why != self.record.end_reason:
            self._apply(EndDecided(why))
        return bool(why)

    def _continues(self, process: Process) -> bool:
        """Decide whether to start another main process after one has ended."""
        record = self.record
        if record.to_restart:
            return True
        if record.end_reason or self._check_limits():
            return False
        if self._transport.fall_back():
            return True
        if not record.notebook or not record.usable:
            return False
        # A notebook is connected to the kernel, which ended by itself.
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
                ending = f"failed-to-start: the kernel ended before it was ready ({describe_exit(status)})"
                if printed := last_line(self.main.logs.kernel):
                    ending = f"{ending}: {printed}"
                self._fail(record.end_reason or ending + self._transport.hint(), status)
                return
            self._apply(Ready())  # The command ended before the session was ready.
        exited = Exited(status, self.stats(), failed=bool(record.end_reason))
        if record.status != "TERMINATING":
            self._apply(exited, Terminating(record.end_reason))
            self._apply(Terminated())
        else:
            self._apply(exited, Terminated())

    def _fail(self, why: str, status: int | None) -> None:
        if self.record.status == "TERMINATING":
            self._apply(Exited(status, failed=True), Terminated())
        elif self.record.live:
            self._apply(Failed(why, status))

    # Requests.

    async def terminate(self, why: str, *, forced: bool) -> None:
        """End the session: ask its processes to end and kill them after a grace time, or at once if `forced`."""
        self._apply(Terminating(why))
        await self._stop(0 if forced else GRACE_SECONDS)

    async def restart(self) -> None:
        """Restart the session's processes, which lose their memory."""
        self._begin_restart(USER_REQUESTED)
        await self._stop(GRACE_SECONDS)

    async def kill(self) -> None:
        """Kill all processes of the session."""
        await asyncio.gather(*(member.kill() for member in self.members))

    async def _stop(self, grace: float) -> None:
        await asyncio.gather(*(member.stop(grace) for member in self.members))

    def interrupt(self) -> None:
        """Interrupt running code and commands. Errors: NotRunning."""
        self.check_running()
        self.programs.interrupt()
        if self.main.link is not None and self.record.launch.interrupt_mode == "message":
            self.main.link.interrupt()
        elif self.record.process is not None:
            self._runtime.signal_group(self.record.process, signal.SIGINT)

    async def interrupt_gently(self) -> None:
        """Interrupt running code, then end the programs beside the kernel; both get the grace time to clean up."""
        with suppress(NotRunning, TimeoutError):
            if self._busy():
                self.interrupt()
            async with asyncio.timeout(GRACE_SECONDS):
                while self._busy():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        if self._programs is not None:
            await self._programs.stop(GRACE_SECONDS)

    def _busy(self) -> bool:
        """Return whether the kernel is busy or a command runs."""
        link, process = self.main.link, self.record.process
        main = link.busy if link else process is not None and self._runtime.alive(process)
        return main or (self._programs is not None and self._programs.busy)

    def check_running(self) -> None:
        """Check that code can run. Errors: NotRunning with the status and its reason."""
        if not self.record.usable:
            raise NotRunning(
                standing(self.record.name, self.record.status, self.record.status_info),
                hint="Wait until it is running.",
            )

    def running_link(self) -> KernelLink:
        """Return the link to the kernel. Errors: NotRunning; NotSupported for a batch session."""
        check_kernel(self.record)
        self.check_running()
        assert self.main.link is not None  # noqa: S101
        return self.main.link

    @property
    def programs(self) -> Programs:
        """The programs beside the kernel. Errors: NotRunning."""
        self.check_running()
        assert self._programs is not None  # noqa: S101
        return self._programs

    @property
    def services(self) -> ServiceLauncher:
        """The services of the session. Errors: NotRunning."""
        self.check_running()
        assert self._services is not None  # noqa: S101
        return self._services

    async def start_service(
        self,
        name: str,
        *,
        forced: bool = False,
        again: bool = False,
        arguments: Mapping[str, str] | None = None,
    ) -> Endpoint:
        """Start a service if needed, and return where it listens. Errors: NotRunning; those of `ServiceLauncher.start`."""
        endpoint = await self.services.start(name, forced=forced, again=again, arguments=arguments)
        self._apply(ServiceUsed())
        return endpoint

    def service_log(self, name: str) -> str:
        """Return the end of a service's log."""
        return self._services.log(name) if self._services else ""

    def cpu_ms(self) -> int:
        """Return the CPU time of all processes, including those before restarts."""
        return sum(member.cpu_ms() for member in self.members)

    def measure(self) -> None:
        """Store the current CPU time of each member."""
        for member in self.members:
            member.measure()

    def activity(self) -> Activity:
        """Return the signs that the session is used."""
        links = [member.link for member in self.members if member.link]
        busy = self._busy() or any(link.busy for link in links)
        times = sum(link.times_busy for link in links) + (self._programs.times_busy if self._programs else 0)
        gpu = max((device.busy or 0.0 for device in gpu_usage.usage(self.record.gpus)), default=0.0)
        return Activity(busy=busy, times_busy=times, cpu_ms=self.cpu_ms(), gpu=gpu)

    def stats(self) -> dict[str, Any]:
        """Return the usage of all members together; see `usage`."""
        return self._meter.stats()

    def environment(self) -> dict[str, str]:
        """Return the environment of the main member's processes."""
        return self.main.environment()

    def _apply(self, *transitions: Transition) -> None:
        self._context.machine.apply(self.record, *transitions)
