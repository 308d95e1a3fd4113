"""What a pending session waits for besides capacity: its start time and other sessions.

Managers 23.09 to 26.8 start a session once all its dependencies have the result SUCCESS, which only batch
sessions can have. Here an interactive session counts, too: it has succeeded when its kernel exited with 0, or
when a user terminated it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.model import standing, status_word


class WaitReason(msgspec.Struct, frozen=True):
    """Why the scheduler skips a session; with `failed` the session can never start.

    `until` is the time of the next check if nothing happens before.
    """

    reason: str
    failed: bool = False
    until: datetime | None = None


def wait_reason(record: Record, look: Callable[[str], Record | None], now: datetime) -> WaitReason | None:
    """Return what a pending session waits for besides capacity. `look` returns sessions by id, ended ones too."""
    waits = []
    for needed in record.dependencies:
        if needed in record.met:
            continue
        other = look(needed)
        succeeded = False if other is None else success(other)
        if succeeded is False:
            if other is None:
                return WaitReason(f"dependency-failed: the session {needed} no longer exists", failed=True)
            how = standing(other.name, other.status, other.status_info, f"'{other.name}'").removesuffix(".")
            return WaitReason(f"dependency-failed: {how}", failed=True)
        if succeeded is None and other is not None:
            waits.append(f"'{other.name}' ({status_word(other.status)})")
    if waits:
        *others, last = waits
        names = f"{', '.join(others)} and {last}" if others else last
        return WaitReason(f"Waiting for {names} to succeed.")
    if record.starts_at is not None and record.starts_at > now:
        moment = record.starts_at.astimezone().isoformat(" ", "seconds")
        return WaitReason(f"Waiting until {moment}.", until=record.starts_at)
    return None


def newly_met(record: Record, look: Callable[[str], Record | None]) -> list[str]:
    """Return the ids of dependencies that have succeeded since, to store before those sessions are pruned."""
    others = {needed: look(needed) for needed in record.dependencies if needed not in record.met}
    return [needed for needed, other in others.items() if other is not None and success(other)]


def success(record: Record) -> bool | None:
    """Return whether a session has succeeded, None while that is open."""
    if record.status in ("ERROR", "CANCELLED"):
        return False
    if record.type == "batch" and record.result != "UNDEFINED":
        return record.result == "SUCCESS"
    if record.live:
        return None
    if record.type == "batch":
        return False
    return record.exit_code == 0 or record.status_info == "user-requested"


def dependents(record: Record, live: Iterable[Record]) -> list[Record]:
    """Return all live sessions that depend on this one, directly or not, dependents before their dependencies."""
    others = list(live)
    found: list[Record] = []
    level = [record]
    while level:
        ids = {one.id for one in level}
        level = [one for one in others if ids.intersection(one.dependencies) and one not in found]
        found.extend(level)
    return sorted(found, key=lambda one: one.created, reverse=True)
