"""What a manager speaks, and what follows from it.

Source: the tables of managers 20.03 to 26.8 and clients 23.9.10 to 26.9.6; the version is that of the
API, and the manager's own release tells which statuses it knows.

Run with this package's tests were the managers 23.9.10, 25.5.2 and 26.9.6. The agent of 23.9.10 that is on PyPI
has no container backend "dummy", so with that manager no session got beyond PENDING: create, list, info,
events, cancel, refusals and choices were seen to work, what a running session does was not. What is said
of API versions up to v5 was seen with this package's own manager alone.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from jupyter_sessions.errors import BadAnswer
from jupyter_sessions.model import DEAD, RUNNING, STATUSES, parse_statuses

NEWEST = "v8.20240915"
"""The newest API version that requests here are written for; later managers take it, too."""
_ENVELOPE = (6, "20210815")
_MODES = (6, "20200815")
_VERSION = re.compile(r"v(\d+)\.(\d{8})", re.ASCII)
_RELEASE = re.compile(r"(\d+)\.(\d+)", re.ASCII)
_ALWAYS = (
    "PENDING SCHEDULED PREPARING PULLING RUNNING RESTARTING TERMINATING TERMINATED ERROR CANCELLED".split()
)
_SINCE = {
    (23, 3): ["RUNNING_DEGRADED"],
    (24, 12): ["PREPARED", "CREATING"],
    (26, 8): ["DEPRIORITIZING", "RESERVED", "PREEMPTED", "RESCHEDULING"],
}
_FIELDS_SINCE = {
    **dict.fromkeys(("cluster_mode", "cluster_size", "cluster_role", "cluster_hostname"), _MODES),
    "architecture": (6, "20220315"),
    **dict.fromkeys(
        "occupying_slots main_kernel_id status_data status_history scheduled_at starts_at idle_checks agents"
        " agent_ids abusing_reports".split(),
        (7, "20230615"),
    ),
    "requested_slots": (8, "20240315"),
    "priority": (8, "20240915"),
}
"""Fields of sessions and containers beyond those of v5.20191215 (the monitoring API of its documentation).

Of those that came with one of the versions 6, it is not known with which; 23.09 (v7.20230615) has them.
"""
_NOT_OURS = frozenset({"priority"})
_NO_RESTART_SINCE = (26, 0)


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """The dialect of one manager; `version` is sent with each request."""

    version: str = NEWEST
    release: tuple[int, int] = (99, 0)
    ours: bool = False

    @property
    def number(self) -> tuple[int, str]:
        """Return the version in a form that can be compared."""
        return _number(self.version)

    @property
    def root(self) -> str:
        """Return the beginning of the paths of sessions."""
        return "/session" if self.number[0] > 4 else "/kernel"

    @property
    def name(self) -> str:
        """Return the field of the session's name in a create request."""
        return "name" if self.number[0] > 4 else "clientSessionToken"

    @property
    def modes(self) -> bool:
        """Return whether size and mode of a cluster are outside of the configuration."""
        return self.number >= _MODES

    @property
    def events(self) -> str:
        """Return the path of the stream of events."""
        return "/events/session" if self.number[0] > 5 else f"/stream{self.root}/_/events"

    @property
    def all_events(self) -> dict[str, str]:
        """Return the parameters of that stream for all events that the key may see."""
        return {"sessionName": "*", "scope": "*"} if self.number[0] > 5 else {"sessionId": "*"}

    @property
    def query(self) -> str:
        """Return the path of GraphQL."""
        return "/admin/gql" if self.envelope else "/admin/graphql"

    @property
    def envelope(self) -> bool:
        """Return whether the answer to a query is an object of data and errors."""
        return self.number >= _ENVELOPE

    @property
    def unknown_fields(self) -> frozenset[str]:
        """Fields of sessions that a query must not ask for: one of them, and all of it is refused."""
        if self.ours:
            return _NOT_OURS
        return frozenset(name for name, since in _FIELDS_SINCE.items() if self.number < since)

    @property
    def restarts(self) -> bool:
        """Return whether the manager can restart sessions."""
        return self.ours or self.release < _NO_RESTART_SINCE

    @property
    def statuses(self) -> list[str]:
        """Names of statuses that the manager knows; others it answers with an error."""
        if self.ours:
            return [*STATUSES]
        later = [name for since, names in _SINCE.items() if self.release >= since for name in names]
        return _ALWAYS + later


def read(answer: Any, who: str) -> Dialect:
    """From the answer to `GET /`. Errors: BadAnswer if that is none of a manager's."""
    said = answer.get("version") if isinstance(answer, dict) else None
    if not isinstance(said, str) or not _VERSION.fullmatch(said):
        raise BadAnswer(f"{who} is no Backend.AI manager.", hint="Check its address.")
    release = _RELEASE.match(str(answer.get("manager") or ""))
    return Dialect(
        version=min(said, NEWEST, key=_number),
        release=(int(release[1]), int(release[2])) if release else (0, 0),
        ours="jupyter_sessions" in answer,
    )


def _number(version: str) -> tuple[int, str]:
    match = _VERSION.fullmatch(version)
    assert match is not None  # noqa: S101 - checked when it was read
    return int(match[1]), match[2]


def statuses_of(group: str, known: list[str]) -> str | None:
    """Return a status group as a comma list of statuses that the manager knows; None for all."""
    if group == "all":
        return None
    groups = {"live": set(known) - DEAD, "running": RUNNING, "dead": DEAD}
    wanted = groups[group] if group in groups else parse_statuses(group)
    return ",".join(sorted(set(wanted) & set(known)))
