"""What fences sessions in, by the strongest means that work on this machine."""

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
    """Limits by the strongest means that were just seen to work, for CPU, memory and processes each.

    `pids` is the most processes and threads of a session, 0 for as many as `most_pids` says. `key` names this manager and must differ between managers of a machine; `records` is a folder
    of its own where limits groups are written down. Where none of `drivers` works there are CPU affinity
    and the watchdog. With cgroup v2 this process may be moved into a group beside its limits groups.
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
