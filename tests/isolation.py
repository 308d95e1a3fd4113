"""Keeps tests away from what is the user's own, and sees to it that they leave no process behind.

Whatever a test does not set itself, it finds in a home folder of this run's (with several workers, each one's):
the state folder, Jupyter's folders, credentials of backends. Only caches, and where packages come from, stay the user's.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

_PRIVATE = ("BACKEND_", "CANFAR_", "IPYTHON", "JPY_", "JUPYTER", "SKAHA_", "XDG_")
"""How names of variables begin that lead to the user's own places, sessions and credentials."""
_KEPT = {
    "XDG_CACHE_HOME": ".cache",
    "PIP_CONFIG_FILE": ".config/pip/pip.conf",
    "UV_CONFIG_FILE": ".config/uv/uv.toml",
    "npm_config_cache": ".npm",
    "npm_config_userconfig": ".npmrc",
}
"""Caches, and where packages come from: variables, and the paths below the user's home folder unless they are set."""
LEAVE_SECONDS = 20


def isolated() -> Iterator[None]:
    """Give this process a home folder of its own; afterwards fail if a process that was started in it still runs."""
    own = Path.home()
    home = Path(tempfile.mkdtemp(prefix="home-"))
    with pytest.MonkeyPatch.context() as patch:
        kept = {name: os.environ.get(name, str(own / path)) for name, path in _KEPT.items()}
        for name in [name for name in os.environ if name.startswith(_PRIVATE)]:
            patch.delenv(name)
        for name, path in kept.items():
            if Path(path).exists():
                patch.setenv(name, path)
        patch.setenv("HOME", str(home))
        yield
    try:
        _expect_no_process_of(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _expect_no_process_of(home: Path) -> None:
    deadline = time.monotonic() + LEAVE_SECONDS
    while left := [process for process in psutil.process_iter() if _is_of(process, home)]:
        if time.monotonic() > deadline:
            told = [_describe(process) for process in left]
            for process in left:
                process.kill()
            raise AssertionError("tests left these processes behind:\n" + "\n".join(told))
        time.sleep(0.05)


def _is_of(process: psutil.Process, home: Path) -> bool:
    try:
        # The tracker of this process's own shared memory ends with it.
        own = process.ppid() == os.getpid() and "resource_tracker" in " ".join(process.cmdline())
        is_alive = process.status() != psutil.STATUS_ZOMBIE
        return process.environ().get("HOME") == str(home) and is_alive and not own
    except (psutil.Error, OSError):
        return False


def _describe(process: psutil.Process) -> str:
    try:
        state = process.environ().get("JUPYTER_SESSIONS_STATE", "the default state folder")
        return f"{process.pid} {' '.join(process.cmdline())} ({state})"
    except psutil.Error:
        return f"{process.pid}, which has ended since"
