"""Programs that are run for what they print."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import psutil
import pytest

from jupyter_sessions.manager.runtime import processes
from jupyter_sessions.manager.runtime.limits import Limits
from tests.waiting import until


@pytest.mark.asyncio
async def test_a_program_that_takes_too_long_leaves_no_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_OUTPUT_SECONDS", 1.0)
    runtime = processes.ProcessRuntime(cast("Limits", None))
    script = f"sleep 300 & echo $! > {tmp_path}/pid; wait"
    with pytest.raises(TimeoutError):
        await runtime.output(["sh", "-c", script], os.environ)
    child = int((tmp_path / "pid").read_text())
    await until(
        lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE, 5
    )
