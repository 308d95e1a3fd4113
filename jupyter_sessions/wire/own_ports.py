"""The loopback ports that this user's managers have used on this machine.

A shell keeps the address of a manager that has ended, and any user of the machine may then listen on its port.
Therefore a manager never reuses a port of an earlier manager, does not answer to such an address, and never takes
such an address for another manager's.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire.files import load, write_private
from jupyter_sessions.wire.places import StateFolder, place

LOOPBACK = "127.0.0.1"
_KEPT = 1000
"""How many ports are remembered: enough for one manager an hour during six weeks."""


def ports_of(where: StateFolder) -> list[int]:
    """Return the ports that managers of a state folder have used, the latest last."""
    try:
        return load(_file(where.folder), list[int])
    except OSError:
        return []


def listen_on_new_port(where: StateFolder) -> socket.socket:
    """Return a socket that listens on a loopback port new to this state folder, and remember the port."""
    earlier = ports_of(where)
    passed_over: list[socket.socket] = []  # Kept open so that the system does not offer the same port again.
    try:
        while True:
            found = socket.create_server((LOOPBACK, 0))
            if found.getsockname()[1] not in earlier:
                break
            passed_over.append(found)
    finally:
        for one in passed_over:
            one.close()
    kept = [*earlier, found.getsockname()[1]][-_KEPT:]
    write_private(_file(where.folder), msgspec.json.encode(kept))
    return found


def is_own(url: str) -> bool:
    """Return whether a URL leads to a port of this machine that one of this user's managers has or had."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return False
    if port is None or not is_loopback(parts.hostname or ""):
        return False
    try:
        where = place()
    except SessionError:
        return False  # No manager can run without a state folder.
    return port in ports_of(where) or port in ports_of(where.secondary)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address, without a port, is a loopback address of this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _file(folder: Path) -> Path:
    return folder / "ports.json"
