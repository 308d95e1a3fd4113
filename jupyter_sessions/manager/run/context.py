"""What those who look after sessions have in common."""

from __future__ import annotations

from pathlib import Path

import msgspec

from jupyter_sessions.manager.core.machine import SessionMachine
from jupyter_sessions.manager.runtime.base import Runtime


class SupervisorContext(msgspec.Struct, frozen=True, kw_only=True):
    """What supervisors share."""

    runtime: Runtime
    run_folder: Path
    state_folder: Path
    machine: SessionMachine
