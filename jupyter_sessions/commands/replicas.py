"""Replicas as a group: the sessions `job-1` to `job-8` that one command has created are `job`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from jupyter_sessions.client import Api
from jupyter_sessions.commands.cells import Cell
from jupyter_sessions.commands.columns import status_cell
from jupyter_sessions.durations import human_time
from jupyter_sessions.errors import SessionNotFound
from jupyter_sessions.model import REPLICA_COUNT, REPLICA_ID, SessionInfo, status_word

MOST = 512
"""The most replicas of one command, as many as clients of Skaha take (1.7.0)."""
_NAME = re.compile(r"(?P<group>.+)-(?P<number>[1-9][0-9]*)")
_TOGETHER = timedelta(minutes=1)
"""How far apart replicas are created, where a backend does not tell their variables."""
_ORDER = ("done", "running", "starting", "waiting", "failed")


class ReplicaGroup(msgspec.Struct):
    """Replicas that were created together, by number."""

    name: str
    rows: list[SessionInfo]

    def summary(self) -> Cell:
        """Return how many are in which state: "5 done · 2 running · 1 failed"."""
        counts = Counter(map(outcome, self.rows))
        words = sorted(counts, key=lambda word: (_ORDER.index(word) if word in _ORDER else len(_ORDER), word))
        tone = "bad" if counts["failed"] else "good" if any(row.live for row in self.rows) else "faint"
        return Cell(" · ".join(f"{counts[word]} {word}" for word in words), tone=tone)

    def takes(self, row: SessionInfo) -> bool:
        """Return whether a session with a fitting name was created together with these."""
        first = self.rows[0]
        if row.name in {one.name for one in self.rows} or (row.image, row.type) != (first.image, first.type):
            return False
        if row.environ or first.environ:
            return row.environ.get(REPLICA_COUNT) == first.environ.get(REPLICA_COUNT)
        if row.created_at is None or first.created_at is None:
            return False
        return abs(row.created_at - first.created_at) <= _TOGETHER

    @property
    def total(self) -> int:
        """How many there were in the beginning, as far as that is known."""
        told = self.rows[0].environ.get(REPLICA_COUNT, "")
        return int(told) if told.isdecimal() else len(self.rows)


def outcome(row: SessionInfo) -> str:
    """Return what has become of a replica, in a word."""
    if has_failed(row):
        return "failed"
    if not row.live and (row.result == "SUCCESS" or row.exit_code == 0):
        return "done"
    return status_word(row.status)


def has_failed(row: SessionInfo) -> bool:
    """Return whether a session came to a bad end."""
    return row.status == "ERROR" or row.hopeless or row.result == "FAILURE" or bool(row.exit_code)


def duration(row: SessionInfo) -> str:
    """Return how long a session has run, "" if it has not."""
    if row.started_at is None:
        return human_time(row.age / 1000) if row.age else ""
    return human_time(max(((row.terminated_at or datetime.now(UTC)) - row.started_at).total_seconds(), 0))


LINE = ("Name", "State", "Exit code", "Duration")


def line(row: SessionInfo) -> list[str]:
    """Return what a list of replicas tells of one: the cells under `LINE`."""
    code = "" if row.exit_code is None else str(row.exit_code)
    return [row.name, Cell(outcome(row).capitalize(), tone=status_cell(row).tone), code, duration(row)]


def grouped(rows: Sequence[SessionInfo]) -> list[SessionInfo | ReplicaGroup]:
    """Return sessions, and replicas as groups at the place of the first of them.

    Of several replicas with the same name, the first belongs to the group.
    """
    groups: dict[tuple[str, str], ReplicaGroup] = {}
    for row in rows:
        if name := _group_of(row):
            group = groups.setdefault((row.backend, name), ReplicaGroup(name, []))
            if not group.rows or group.takes(row):
                group.rows.append(row)
    group_of = {row.id: group for group in groups.values() if _is_group(group) for row in group.rows}
    entries: dict[object, SessionInfo | ReplicaGroup] = {}
    for row in rows:
        of_row = group_of.get(row.id)
        entries.setdefault((row.backend, of_row.name) if of_row else row.id, of_row or row)
    for one in entries.values():
        if isinstance(one, ReplicaGroup):
            one.rows.sort(key=_number)
    return [*entries.values()]


def _is_group(group: ReplicaGroup) -> bool:
    """Return whether sessions are replicas. Where no variables tell, there have to be all numbers from 1 on."""
    numbers = sorted(map(_number, group.rows))
    is_told = REPLICA_COUNT in group.rows[0].environ
    return is_told or (len(numbers) > 1 and numbers == [*range(1, len(numbers) + 1)])


def _number(row: SessionInfo) -> int:
    return int(row.name.rpartition("-")[2])


def _group_of(row: SessionInfo) -> str:
    """Return the group that a replica belongs to; "" if its variables, or else its name, do not say that it is one."""
    match = _NAME.fullmatch(row.name)
    if match is None or (row.environ and row.environ.get(REPLICA_ID) != match["number"]):
        return ""
    return match["group"]


async def complete_groups(api: Api, groups: Sequence[ReplicaGroup]) -> None:
    """Add to groups of live replicas those that have ended."""
    if all(len(group.rows) >= group.total for group in groups):
        return
    ended = (await api.list(status="dead", limit=2 * MOST)).sessions
    for group in groups:
        for row in ended:
            if row.backend == group.rows[0].backend and _group_of(row) == group.name and group.takes(row):
                group.rows.append(row)
        group.rows.sort(key=_number)


async def find_group(api: Api, ref: str) -> ReplicaGroup | None:
    """Return the replicas with a common name, of live ones or else of those created last; None if there are none."""
    backend, _, name = ref.rpartition("/")
    for status in ("live", "all"):
        rows = [
            row
            for row in (await api.list(status=status, backend=backend or None)).sessions
            if row.name.startswith(f"{name}-")
        ]
        groups = [one for one in grouped(rows) if isinstance(one, ReplicaGroup) and one.name == name]
        if groups:
            await complete_groups(api, groups[:1])
            return groups[0]
    return None


async def targets(api: Api, ref: str) -> list[SessionInfo]:
    """Return the session that is meant, or all replicas of a group. Errors: SessionNotFound."""
    try:
        return [await api.find(ref)]
    except SessionNotFound:
        group = await find_group(api, ref)
        if group is None:
            raise
        return group.rows
