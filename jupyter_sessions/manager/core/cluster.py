"""The members of a session: the main one, which is the session's record itself, and those of a cluster.

Names and variables: Backend.AI managers 23.09 to 26.8, where members are called kernels or containers.
"""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec

from jupyter_sessions.manager.runtime.launch import Process

MODES = ("single-node", "multi-node")
LOOPBACK = "127.0.0.1"
_NETWORK = ipaddress.IPv4Network("127.0.0.0/8")


def _now() -> datetime:
    return datetime.now(UTC)


class MemberRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a further member of a cluster; `idx` counts from 1. For the rest see `Record`."""

    idx: int
    id: str = msgspec.field(default_factory=lambda: str(uuid4()))
    status: str = "PENDING"
    status_info: str = ""
    changed: datetime = msgspec.field(default_factory=_now)
    ended: datetime | None = None
    kernel_key: str = ""
    kernel_ports: list[int] = []
    process: Process | None = None
    service_processes: dict[str, Process] = {}
    exit_code: int | None = None
    cpu_ms_before: int = 0
    cpu_ms_at_launch: int = 0
    last_stat: dict[str, Any] | None = None

    @property
    def role(self) -> str:
        """What it is in the cluster."""
        return "sub"

    @property
    def rank(self) -> int:
        """Its place among all members; the main one has 0."""
        return self.idx

    def move(self, status: str, info: str = "") -> None:
        """Go to another status, saying why."""
        self.status, self.status_info, self.changed = status, info, _now()
        self.ended = self.changed if status == "TERMINATED" else None

    def end(self, info: str) -> None:
        """Note that it has ended, unless it did so before."""
        if self.ended is None:
            self.move("TERMINATED", info)


def hostname(rank: int) -> str:
    """What a member is called: "main1", "sub1", "sub2" …"""
    return f"sub{rank}" if rank else "main1"


def addresses(session_id: str, size: int) -> list[str]:
    """Where the members of a cluster find each other, in their order.

    Each has an address of its own on the loopback network, so that all may listen on the same port;
    it is the session's, too, as well as can be. Linux has them all, other systems only one.
    """
    if not sys.platform.startswith("linux"):
        return [LOOPBACK] * size
    first = int(_NETWORK[0]) + 256 * (1 + UUID(session_id).int % 0xFF00)
    return [str(ipaddress.IPv4Address(first + rank + 1)) for rank in range(size)]


def variables(session_id: str, size: int, rank: int) -> dict[str, str]:
    """What tells a member's processes who they are. A session of one member has a name for a host."""
    hosts: Sequence[str] = addresses(session_id, size) if size > 1 else [hostname(0)]
    values = {
        "SIZE": size,
        "HOSTS": ",".join(hosts),
        "HOST": hosts[rank],
        "ROLE": "sub" if rank else "main",
        "IDX": rank or 1,
        "LOCAL_RANK": rank,
    }
    return {f"BACKENDAI_CLUSTER_{name}": str(value) for name, value in values.items()}
