"""Real processes for these tests, all of them ended afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions.manager.runtime import ending
from jupyter_sessions.manager.runtime.launch import Process, launch
from tests.waiting import wait_until

Until = Callable[..., None]
Start = Callable[..., Coroutine[Any, Any, Process]]


@pytest.fixture
def until() -> Until:
    return wait_until


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Launch Python code; `name` is that of its folder, its output goes to `<name>.log`."""
    started: list[Process] = []

    async def run(code: str, *args: str, name: str = "p", **options: Any) -> Process:
        options = {"env": dict(os.environ), "cwd": str(tmp_path)} | options
        log, folder = str(tmp_path / f"{name}.log"), str(tmp_path / name)
        argv = [sys.executable, "-c", code, *args]
        process = await launch(argv, log=log, folder=folder, **options)
        started.append(process)
        return process

    yield run
    for process in started:
        wait_until(partial(ending.kill, process))
    wait_until(lambda: not any(process.shim.alive() for process in started))
    ending.reap()
