"""What those who look after sessions have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from jupyter_sessions.manager.core.cluster import MemberRecord
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.runtime.limits import Limits
from jupyter_sessions.manager.runtime.prestart.pool import PrestartPool


class EventPublisher(Protocol):
    """Called with a session and an event's name; `sub` is the member it is about, the main one if None."""

    def __call__(self, record: Record, event: str, sub: MemberRecord | None = None) -> None:
        """Hand it on."""


class SupervisorContext(msgspec.Struct, frozen=True, kw_only=True):
    """What supervisors share: `keep` saves a record, `tell` publishes an event of it, `changed` does both.

    Kernels come out of the `pool` if it has one.
    """

    limits: Limits
    run_folder: Path
    state_folder: Path
    keep_fds: tuple[int, ...]
    keep: Callable[[Record], None]
    changed: Callable[[Record, str], None]
    tell: EventPublisher
    pool: PrestartPool
