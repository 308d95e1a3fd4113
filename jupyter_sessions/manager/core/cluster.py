"""The members of a cluster session. The main member is the session's record itself.

Source of names and variables: Backend.AI managers 23.09 to 26.8, which call members kernels or containers.
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
    """The record of a sub member of a cluster; `idx` counts from 1. For the other fields see `Record`."""

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
        """The role of the member in the cluster."""
        return "sub"

    @property
    def rank(self) -> int:
        """The rank of the member; the main member has 0."""
        return self.idx

    def move(self, status: str, info: str = "") -> None:
        """Set the status and its reason."""
        self.status, self.status_info, self.changed = status, info, _now()
        self.ended = self.changed if status == "TERMINATED" else None

    def end(self, info: str) -> None:
        """End the member, unless it has ended before."""
        if self.ended is None:
            self.move("TERMINATED", info)


def hostname(rank: int) -> str:
    """Return the hostname of a member: "main1", "sub1", "sub2" …"""
    return f"sub{rank}" if rank else "main1"


def addresses(session_id: str, size: int) -> list[str]:
    """Return the addresses of the members of a cluster, by rank.

    On Linux each member has its own address on the loopback network, derived from the session's id, so that all can
    listen on the same port; other systems have only one address.
    """
    if not sys.platform.startswith("linux"):
        return [LOOPBACK] * size
    first = int(_NETWORK[0]) + 256 * (1 + UUID(session_id).int % 0xFF00)
    return [str(ipaddress.IPv4Address(first + rank + 1)) for rank in range(size)]


def variables(session_id: str, size: int, rank: int) -> dict[str, str]:
    """Return the environment variables that describe the cluster to a member's processes."""
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
