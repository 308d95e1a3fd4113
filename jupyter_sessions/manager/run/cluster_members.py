"""The sub members of a cluster session, managed together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from jupyter_sessions.manager.core.changes import MemberEnded, MemberReady
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.transitions import Transition
from jupyter_sessions.manager.run.context import SupervisorContext
from jupyter_sessions.manager.run.member import Member
from jupyter_sessions.manager.runtime.ending import describe_exit
from jupyter_sessions.manager.runtime.launch import LaunchError

Lost = Callable[[str], Awaitable[None]]


async def together(works: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Run coroutines concurrently; the first failure cancels the others and is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class ClusterMembers:
    """Starts, takes over, watches and ends the sub members. `lost` is called with the reason if one ends by itself."""

    def __init__(self, record: Record, context: SupervisorContext, lost: Lost) -> None:
        self.all = [Member(record, context, row) for row in record.subs]
        self._record = record
        self._context = context
        self._lost = lost

    async def launch(self) -> None:
        """Start all members after `Member.prepare`. Errors: LaunchError."""
        await together(member.launch() for member in self.all)

    async def take_over(self) -> str:
        """Take over the members that an earlier manager started, and start the others. Return why one failed, or "".

        Errors: LaunchError, LimitsError.
        """
        whys = [await self._take_over(member) for member in self.all]
        return next(filter(None, whys), "")

    async def _take_over(self, member: Member) -> str:
        process = member.row.process
        with suppress(LaunchError):
            process = self._context.runtime.recover(member.folder / "main") or process
        if process is not None:
            return member.take_over(process)
        await member.prepare()
        await member.launch()
        return ""

    async def open(self) -> None:
        """Wait until all live members reply."""
        await asyncio.gather(
            *(self._open(member) for member in self.all if member.row.status != "TERMINATED")
        )

    async def _open(self, member: Member) -> None:
        if link := member.connect():
            await link.open()
        if member.row.status != "RUNNING":
            self._apply(MemberReady(member.row.rank))

    async def watch(self) -> None:
        """Watch for the end of members, until cancelled."""
        await asyncio.gather(*(self._watch(member) for member in self.all))

    async def _watch(self, member: Member) -> None:
        process = member.row.process
        if process is None or member.row.status == "TERMINATED":
            return
        await self._context.runtime.wait(process)
        over = "out of memory" if member.over_memory() else "too many processes" if member.over_pids() else ""
        await member.kill()  # End processes that were left behind.
        status = self._context.runtime.exit_status(process)
        why = over or describe_exit(status)
        await self._lost(f"{member.name} ended: {why}")
        self.close(member, why, status)

    def close(self, member: Member, why: str, status: int | None = None) -> None:
        """Close a member that has ended, with its exit status if known."""
        row = member.row
        if row.status == "TERMINATED":
            return
        member.disconnect(why)
        member.measure()
        self._apply(MemberEnded(row.rank, why, status, member.stats()))

    def close_all(self, why: str) -> None:
        """Close all members."""
        for member in self.all:
            self.close(member, why)

    def _apply(self, change: Transition) -> None:
        self._context.machine.apply(self._record, change)
