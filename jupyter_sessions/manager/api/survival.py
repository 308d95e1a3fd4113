"""Which events sessions on this machine outlive."""

from __future__ import annotations

import getpass
import os
import sys
from functools import cache
from pathlib import Path

_LINGER = Path("/var/lib/systemd/linger")


@cache
def survives() -> dict[str, bool]:
    """Return which events a session of this manager outlives: usually a server restart, never a reboot."""
    try:
        groups = Path("/proc/self/cgroup").read_text()
    except OSError:
        groups = ""
    return {
        "server_restart": outlives_server(groups, _first_command()),
        "logout": sys.platform != "win32" and outlives_logout(groups, _LINGER),
        "reboot": False,
    }


def outlives_server(groups: str, first_command: str) -> bool:
    """Return False inside a system service, which ends as a whole, and where pid 1 is a Jupyter server."""
    units = [part for line in groups.splitlines() for part in line.split("/") if part.endswith(".service")]
    return "jupyter" not in first_command and all(unit.startswith("user@") for unit in units[:1])


def _first_command() -> str:
    try:
        return Path("/proc/1/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def outlives_logout(groups: str, linger: Path) -> bool:
    """Return False if the user's systemd runs us (by /proc/self/cgroup) and ends with the last login."""
    if f"user@{os.getuid()}.service" not in groups:
        return True
    try:
        return (linger / getpass.getuser()).exists()
    except (OSError, KeyError):
        return False
