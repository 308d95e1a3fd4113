"""What sessions on this machine outlive, said honestly."""

from __future__ import annotations

import getpass
import os
import sys
from functools import cache
from pathlib import Path

_LINGER = Path("/var/lib/systemd/linger")


@cache
def survives() -> dict[str, bool]:
    """What a session of this manager outlives: processes of their own outlive a server, but no reboot."""
    try:
        groups = Path("/proc/self/cgroup").read_text()
    except OSError:
        groups = ""
    return {
        "server_restart": True,
        "logout": sys.platform != "win32" and outlives_logout(groups, _LINGER),
        "reboot": False,
    }


def outlives_logout(groups: str, linger: Path) -> bool:
    """False where the user's systemd runs us (by /proc/self/cgroup) and ends with the last login."""
    if f"user@{os.getuid()}.service" not in groups:
        return True
    try:
        return (linger / getpass.getuser()).exists()
    except (OSError, KeyError):
        return False
