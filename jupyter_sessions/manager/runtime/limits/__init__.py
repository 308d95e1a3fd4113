"""Limit the resources of sessions, by the strongest means that work on this machine."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from jupyter_sessions.manager.runtime.limits import cgroup_v1, cgroup_v2
from jupyter_sessions.manager.runtime.limits.base import (
    Limits,
    LimitsError,
    LimitsGroup,
    LimitsGroupGone,
    ServiceLimitsGroup,
    Usage,
)
from jupyter_sessions.manager.runtime.limits.cgroup_v1 import V1
from jupyter_sessions.manager.runtime.limits.cgroup_v2 import V2
from jupyter_sessions.manager.runtime.limits.part import CONTROLS, Driver
from jupyter_sessions.manager.runtime.limits.records import LimitsRecords
from jupyter_sessions.manager.runtime.limits.tree import Tree

__all__ = ["Limits", "LimitsError", "LimitsGroup", "LimitsGroupGone", "ServiceLimitsGroup", "Usage", "choose"]

CGROUPS = (cgroup_v2.NAME, cgroup_v1.NAME)


def choose(
    root: Path = Path("/"),
    *,
    key: str,
    records: Path,
    drivers: Collection[str] = CGROUPS,
    pids: int = 0,
) -> Limits:
    """Return limits for CPU, memory and processes, each by the strongest means that a probe found to work.

    `key` names this manager and must differ between the managers of a machine; `records` is a folder only for the
    records of limits groups. `pids` is the most processes and threads of a session, 0 for the number of `most_pids`.
    CPU affinity and the watchdog stand in where none of `drivers` works. With cgroup v2 this process may be moved into
    a group beside its limits groups.
    """
    key = re.sub(r"[^\w-]", "_", key)
    store = LimitsRecords(records)
    wanted = list(CONTROLS)
    chosen: list[Driver] = []
    for name, kind in ((cgroup_v2.NAME, V2), (cgroup_v1.NAME, V1)):
        found = kind.probe(root, key, wanted) if wanted and name in drivers else None
        if found:
            chosen.append(found)
            wanted = [control for control in wanted if control not in found.means]
    chosen.append(Tree(wanted, store.cpus))
    return Limits(chosen, store, pids)
