"""Processes that outlive whoever starts them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from jupyter_sessions.wire.environment import clean_environ

_started: list[subprocess.Popen[bytes]] = []


def start_detached(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process with its own session, no terminal and no descriptors; its output is appended to a log.

    The process is remembered while it runs: a child that ends is then reaped when the next one starts, and Python does
    not warn of a process that nobody waits for. Errors: OSError.
    """
    _started[:] = [process for process in _started if process.poll() is None]
    keep = {key: value for key, value in os.environ.items() if key.startswith("JUPYTER_SESSIONS_")}
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd="/",
            env=clean_environ(os.environ) | keep,
            start_new_session=True,
        )
    _started.append(process)
    return process
