"""Ports for tests: loopback, free, and waited for."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from contextlib import suppress

_OWN = range(15_000, 32_000)
"""Below those that systems give to connections, one of which might take it before a server does."""


def free_port() -> int:
    """A loopback port that nobody uses now."""
    for port in random.sample(_OWN, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def wait_for_port(port: int, process: subprocess.Popen[bytes] | None = None, seconds: float = 60) -> None:
    """Return once something listens. Errors: AssertionError if the process ends or time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process is None or process.poll() is None, "the server ended before it listened"
        with socket.socket() as probe:
            connected = probe.connect_ex(("127.0.0.1", port)) == 0
            # With nobody listening, a socket that happens to get the same port connects to itself.
            if connected and probe.getsockname() != probe.getpeername():
                return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")
