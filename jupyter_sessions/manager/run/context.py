"""The objects that all supervisors share."""

from __future__ import annotations

from pathlib import Path

import msgspec

from jupyter_sessions.manager.core.machine import SessionMachine
from jupyter_sessions.manager.core.secret_values import SecretValues
from jupyter_sessions.manager.run.plugins import PluginFinder
from jupyter_sessions.manager.runtime.base import Runtime


class SupervisorContext(msgspec.Struct, frozen=True, kw_only=True):
    """The objects and folders that all supervisors share."""

    runtime: Runtime
    run_folder: Path
    state_folder: Path
    machine: SessionMachine
    secrets: SecretValues
    plugins: PluginFinder
