"""Find out who listens on a TCP port of this machine."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable

import psutil

LOOPBACK = "127.0.0.1"
_ANY = {"0.0.0.0": LOOPBACK, "::": "[::1]"}  # noqa: S104


def listener(port: int, pids: Iterable[int]) -> str | None:
    """Return the address at which one of these processes listens, in the form for URLs, or None."""
    for pid in pids:
        try:
            found = psutil.Process(pid).net_connections(kind="tcp")
        except psutil.Error:
            continue
        for one in found:
            if one.status == psutil.CONN_LISTEN and one.laddr.port == port:
                return _ANY.get(one.laddr.ip) or (
                    f"[{one.laddr.ip}]" if ":" in one.laddr.ip else one.laddr.ip
                )
    return None


def taken(port: int) -> bool:
    """Return whether somebody listens on a port of the loopback address, or of all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def free() -> int:
    """Return a port of the loopback address on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
