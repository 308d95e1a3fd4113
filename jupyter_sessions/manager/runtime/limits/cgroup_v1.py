"""Limits by control groups v1: one hierarchy a controller, often mounted and permitted apart.

A user who is not root gets them from an administrator who makes, in `cpu`, `cpuacct`, `memory` and
`pids`, a folder `jupyter_sessions-<uid>` at the top that belongs to the user.
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
    """Groups of one session in the v1 hierarchies."""

    def cpu_ms(self) -> int | None:
        """From cpuacct."""
        folder = self.folders.get("cpuacct")
        used = cgroup.read_int(folder / "cpuacct.usage") if folder else None
        return None if used is None else used // 1_000_000

    def memory(self) -> tuple[int, int] | None:
        """Without the pages of files that nobody used of late."""
        folder = self.folders.get("memory")
        used = cgroup.read_int(folder / "memory.usage_in_bytes") if folder else None
        if folder is None or used is None:
            return None
        cache = cgroup.read_key(folder / "memory.stat", "total_inactive_file") or 0
        peak = cgroup.read_int(folder / "memory.max_usage_in_bytes") or used
        return max(0, used - cache), peak

    def over_memory(self) -> bool:
        """By the counter of what the kernel killed here (4.13)."""
        folder = self.folders.get("memory")
        return bool(folder and cgroup.read_key(folder / "memory.oom_control", "oom_kill"))

    def service_attach(self, name: str) -> list[str]:
        """In a group of its own below the session's, so that the kernel's counter tells which was killed."""
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
        """By the counter of the service's group: those of v1 do not count what is below."""
        folder = self._service(name)
        return bool(folder and cgroup.read_key(folder / "memory.oom_control", "oom_kill"))

    def remove_service(self, name: str) -> None:
        """Remove its group."""
        if folder := self._service(name):
            cgroup.delete(folder)

    def _service(self, name: str) -> Path | None:
        """Its group; None where memory of groups below does not count here (before Linux 5.11)."""
        folder = self.folders.get("memory")
        counted = folder and cgroup.read_int(folder / "memory.use_hierarchy") != 0
        return folder / f"{cgroup.SERVICE}{name}" if folder and counted else None

    def kill_once(self, *, spare: bool = False) -> bool:
        """No fork can outrun it where the number of processes can be fixed meanwhile."""
        folder = self.folders.get("pids")
        if folder:
            cgroup.fix_pids(folder, 0)
        empty = super().kill_once(spare=spare)
        if folder and empty:
            cgroup.fix_pids(folder, self.most_pids or "max")
        return empty


class V1(Driver):
    """Groups beside our own, or in the folder an administrator gave us."""

    def __init__(self, parents: Mapping[str, Path], key: str) -> None:
        self._parents = dict(parents)
        self._prefix = f"{cgroup.PREFIX}{key}."
        words = {"cpu": "cgroup v1 quota", "mem": "cgroup v1 limit", "pids": "cgroup v1 limit"}
        controls = [control for name, control in _CONTROLLERS.items() if name in parents]
        self.means = {control: words[control] for control in controls}

    @classmethod
    def probe(cls, root: Path, key: str, wanted: Iterable[str]) -> V1 | None:
        """The driver with those of the wanted controls that work here; None without any."""
        places = cgroup.own(root)
        main = [name for name, control in _CONTROLLERS.items() if control in wanted]
        parents = {
            name: parent
            for name in (*main, *_HELPERS)
            if name in places and (parent := _working(name, places[name], key))
        }
        if not any(name in parents for name in main):
            return None
        for name, parent in parents.items():
            _escape(places[name].folder, parent)
        return cls(parents, key)

    def plan(self, id: str, cpu: Decimal) -> PartRecord:
        """One folder in each hierarchy, all of one name."""
        del cpu
        name = f"{self._prefix}{id}"
        folders = {controller: str(parent / name) for controller, parent in self._parents.items()}
        return PartRecord(NAME, list(self.means), folders)

    def build(self, record: PartRecord, cpu: Decimal, mem: int) -> None:
        """Make the folders and set quota and limit."""
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
        """Groups with our key in their names."""
        for name, folders in cgroup.by_name(self._parents, self._prefix):
            yield name, PartRecord(NAME, folders=folders)


def _limit_cpu(folder: Path, cpu: Decimal) -> None:
    cgroup.write(folder / "cpu.cfs_period_us", _PERIOD_US)
    cgroup.write(folder / "cpu.cfs_quota_us", max(1000, int(cpu * _PERIOD_US)))


def _limit_memory(folder: Path, mem: int) -> None:
    """Swap must not be a way out: limited together with memory, else avoided."""
    cgroup.write(folder / "memory.limit_in_bytes", mem)
    both = folder / "memory.memsw.limit_in_bytes"
    if both.exists():
        cgroup.write(both, mem)
    elif (folder / "memory.swappiness").exists():
        cgroup.write(folder / "memory.swappiness", 0)


def _working(name: str, place: ControlGroup, key: str) -> Path | None:
    """The first folder in which a group can be made, limited and joined."""
    given = place.top / f"jupyter_sessions-{os.getuid()}"
    for parent in (cgroup.outside(place.folder), given):
        folder = parent / f"{cgroup.PREFIX}{key}.probe-{os.getpid()}"
        try:
            cgroup.make(folder)
            _try(name, folder)
            if cgroup.admits(folder / "cgroup.procs"):
                return parent
        except LimitsError:
            continue
        finally:
            cgroup.delete(folder)
    return None


def _try(name: str, folder: Path) -> None:
    if name == "cpu":
        _limit_cpu(folder, Decimal("0.5"))
    elif name == "memory":
        _limit_memory(folder, _PROBE_MEM)
        if cgroup.read_int(folder / "memory.limit_in_bytes") != _PROBE_MEM:
            raise LimitsError(f"{folder} does not keep its memory limit.")
    elif name == "pids":
        cgroup.limit_pids(folder, _PROBE_PIDS)


def _escape(mine: Path, parent: Path) -> None:
    """A manager started from inside a session must not count there, nor die with it."""
    if cgroup.outside(mine) != mine:
        with contextlib.suppress(LimitsError):
            cgroup.write(parent / "cgroup.procs", os.getpid())
