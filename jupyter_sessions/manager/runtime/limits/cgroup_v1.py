"""Limits by control groups v1: one hierarchy for each controller, often with separate mounts and permissions.

A user who is not root needs an administrator to create, at the top of `cpu`, `cpuacct`, `memory` and `pids`, a
folder `jupyter_sessions-<uid>` that belongs to the user.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from jupyter_sessions.manager.runtime.limits import cgroup
from jupyter_sessions.manager.runtime.limits.cgroup import CgroupPart, ControlGroup
from jupyter_sessions.manager.runtime.limits.part import Driver, LimitsError, PartRecord

NAME = "cgroup v1"
_CONTROLLERS = {"cpu": "cpu", "memory": "mem", "pids": "pids"}
_HELPERS = ("cpuacct",)
_PERIOD_US = 100_000
_PROBE_MEM = 64 << 20
_PROBE_PIDS = 64


class V1Part(CgroupPart):
    """The groups of one session in the v1 hierarchies."""

    def cpu_ms(self) -> int | None:
        """Return the CPU time from cpuacct."""
        folder = self.folders.get("cpuacct")
        used = cgroup.read_int(folder / "cpuacct.usage") if folder else None
        return None if used is None else used // 1_000_000

    def memory(self) -> tuple[int, int] | None:
        """Return the memory in use without inactive file pages, and the peak."""
        folder = self.folders.get("memory")
        used = cgroup.read_int(folder / "memory.usage_in_bytes") if folder else None
        if folder is None or used is None:
            return None
        cache = cgroup.read_key(folder / "memory.stat", "total_inactive_file") or 0
        peak = cgroup.read_int(folder / "memory.max_usage_in_bytes") or used
        return max(0, used - cache), peak

    def over_memory(self) -> bool:
        """Read the kernel's counter of killed processes (Linux 4.13)."""
        folder = self.folders.get("memory")
        return bool(folder and cgroup.read_key(folder / "memory.oom_control", "oom_kill"))

    def service_attach(self, name: str) -> list[str]:
        """Give the service a memory group below the session's, so that the kernel's counter tells which was killed."""
        memory = self.folders.get("memory")
        folder = self._service(name)
        if memory is None or folder is None:
            return list(self.attach)
        try:
            cgroup.make(folder)
        except LimitsError:
            return list(self.attach)
        folders = dict.fromkeys(folder if one == memory else one for one in self.folders.values())
        return [str(one / "cgroup.procs") for one in folders]

    def service_over_memory(self, name: str) -> bool:
        """Read the counter of the service's group; counters of v1 do not include the groups below."""
        folder = self._service(name)
        return bool(folder and cgroup.read_key(folder / "memory.oom_control", "oom_kill"))

    def remove_service(self, name: str) -> None:
        """Remove the service's group."""
        if folder := self._service(name):
            cgroup.delete(folder)

    def _service(self, name: str) -> Path | None:
        """Return the service's group, or None if the kernel does not add up memory of subgroups (before Linux 5.11)."""
        folder = self.folders.get("memory")
        counted = folder and cgroup.read_int(folder / "memory.use_hierarchy") != 0
        return folder / f"{cgroup.SERVICE}{name}" if folder and counted else None

    def kill_once(self, *, spare: bool = False) -> bool:
        """Kill as `CgroupPart` does, and forbid new processes meanwhile where possible, so that no fork escapes."""
        folder = self.folders.get("pids")
        if folder:
            cgroup.fix_pids(folder, 0)
        empty = super().kill_once(spare=spare)
        if folder and empty:
            cgroup.fix_pids(folder, self.most_pids or "max")
        return empty


class V1(Driver):
    """Creates groups beside this process's own group, or in the folder that an administrator created."""

    def __init__(self, parents: Mapping[str, Path], key: str) -> None:
        self._parents = dict(parents)
        self._prefix = f"{cgroup.PREFIX}{key}."
        words = {"cpu": "cgroup v1 quota", "mem": "cgroup v1 limit", "pids": "cgroup v1 limit"}
        controls = [control for name, control in _CONTROLLERS.items() if name in parents]
        self.means = {control: words[control] for control in controls}

    @classmethod
    def probe(cls, root: Path, key: str, wanted: Iterable[str]) -> V1 | None:
        """Return a driver for the wanted controls that work here, or None if none does."""
        places = cgroup.own(root)
        main = [name for name, control in _CONTROLLERS.items() if control in wanted]
        parents = {
            name: parent
            for name in (*main, *_HELPERS)
            if name in places and (parent := _find_parent(name, places[name], key))
        }
        if not any(name in parents for name in main):
            return None
        for name, parent in parents.items():
            # Leave the group of a session in which this manager was started, or it would end with that session.
            if cgroup.outside(places[name].folder) != places[name].folder:
                with contextlib.suppress(LimitsError):
                    cgroup.write(parent / "cgroup.procs", os.getpid())
        return cls(parents, key)

    def plan(self, id: str, cpu: Decimal) -> PartRecord:
        """Plan one folder in each hierarchy, all with the same name."""
        del cpu
        name = f"{self._prefix}{id}"
        folders = {controller: str(parent / name) for controller, parent in self._parents.items()}
        return PartRecord(NAME, list(self.means), folders)

    def build(self, record: PartRecord, cpu: Decimal, mem: int) -> None:
        """Create the folders and set the limits."""
        folders = {name: Path(folder) for name, folder in record.folders.items()}
        for folder in folders.values():
            cgroup.make(folder)
        if "cpu" in folders:
            _limit_cpu(folders["cpu"], cpu)
        if "memory" in folders:
            _limit_memory(folders["memory"], mem)
        if "pids" in folders and record.pids:
            cgroup.limit_pids(folders["pids"], record.pids)

    def leftovers(self) -> Iterable[tuple[str, PartRecord]]:
        """Yield the groups with this manager's key in their names."""
        for name, folders in cgroup.by_name(self._parents, self._prefix):
            yield name, PartRecord(NAME, folders=folders)


def _limit_cpu(folder: Path, cpu: Decimal) -> None:
    cgroup.write(folder / "cpu.cfs_period_us", _PERIOD_US)
    cgroup.write(folder / "cpu.cfs_quota_us", max(1000, int(cpu * _PERIOD_US)))


def _limit_memory(folder: Path, mem: int) -> None:
    """Limit memory together with swap where the kernel can; otherwise avoid swapping."""
    cgroup.write(folder / "memory.limit_in_bytes", mem)
    both = folder / "memory.memsw.limit_in_bytes"
    if both.exists():
        cgroup.write(both, mem)
    elif (folder / "memory.swappiness").exists():
        cgroup.write(folder / "memory.swappiness", 0)


def _find_parent(name: str, place: ControlGroup, key: str) -> Path | None:
    """Return the first folder in which a test group can be created, limited and joined."""
    given = place.top / f"jupyter_sessions-{os.getuid()}"
    for parent in (cgroup.outside(place.folder), given):
        folder = parent / f"{cgroup.PREFIX}{key}.probe-{os.getpid()}"
        try:
            cgroup.make(folder)
            _set_probe_limits(name, folder)
            if cgroup.admits(folder / "cgroup.procs"):
                return parent
        except LimitsError:
            continue
        finally:
            cgroup.delete(folder)
    return None


def _set_probe_limits(name: str, folder: Path) -> None:
    if name == "cpu":
        _limit_cpu(folder, Decimal("0.5"))
    elif name == "memory":
        _limit_memory(folder, _PROBE_MEM)
        if cgroup.read_int(folder / "memory.limit_in_bytes") != _PROBE_MEM:
            raise LimitsError(f"{folder} does not keep its memory limit.")
    elif name == "pids":
        cgroup.limit_pids(folder, _PROBE_PIDS)
