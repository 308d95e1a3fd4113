"""What those who look after sessions have in common."""

from __future__ import annotations

from pathlib import Path

import msgspec

from jupyter_sessions.manager.core.machine import SessionMachine
from jupyter_sessions.manager.runtime.limits import Limits
from jupyter_sessions.manager.runtime.prestart.pool import PrestartPool


class SupervisorContext(msgspec.Struct, frozen=True, kw_only=True):
    """What supervisors share. Kernels come out of the `pool` if it has one."""

    limits: Limits
    run_folder: Path
    state_folder: Path
    keep_fds: tuple[int, ...]
    machine: SessionMachine
    pool: PrestartPool
