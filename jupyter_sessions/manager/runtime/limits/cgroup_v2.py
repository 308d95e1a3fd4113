"""Limits by control groups v2, in a group that is delegated to the user (systemd's Delegate=yes, a container).

A v2 group with processes cannot have limited children. So the manager moves into a leaf group,
`<delegated>/manager`, and creates the limits groups in `<delegated>/sessions`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

from jupyter_sessions.manager.runtime.limits import cgroup
from jupyter_sessions.manager.runtime.limits.cgroup import UNIFIED, CgroupPart
from jupyter_sessions.manager.runtime.limits.part import Driver, LimitsError, PartRecord
from jupyter_sessions.manager.runtime.trackers import is_tracker

NAME = "cgroup v2"
_CONTROLLERS = {"cpu": "cpu", "memory": "mem", "pids": "pids"}
_PERIOD_US = 100_000
_PROBE_MEM = 64 << 20
_PROBE_PIDS = 64
_MAIN = "main"


class V2Part(CgroupPart):
    """The group of one session.

    With a memory limit, its processes are in subgroups, one for the session itself and one for each service, because a
    group that delegates its memory controller cannot contain processes. Groups of early versions have no subgroups.
    """

    def __init__(self, record: PartRecord) -> None:
        super().__init__(record)
        if self._main.is_dir():
            self.attach = [str(self._main / "cgroup.procs")]

    @property
    def _main(self) -> Path:
        return self._folder / _MAIN

    @property
    def _folder(self) -> Path:
        return self.folders[UNIFIED]

    def cpu_ms(self) -> int | None:
        """Return the CPU time from cpu.stat, which exists without the cpu controller, too."""
        used = cgroup.read_key(self._folder / "cpu.stat", "usage_usec")
        return None if used is None else used // 1000

    def memory(self) -> tuple[int, int] | None:
        """Return the memory in use without inactive file pages, and the peak (Linux 5.19)."""
        used = cgroup.read_int(self._folder / "memory.current")
        if used is None:
            return None
        cache = cgroup.read_key(self._folder / "memory.stat", "inactive_file") or 0
        peak = cgroup.read_int(self._folder / "memory.peak") or used
        return max(0, used - cache), peak

    def over_memory(self) -> bool:
        """Read the kernel's counter of killed processes, without those of services."""
        folder = self._main if self._main.is_dir() else self._folder
        return bool(cgroup.read_key(folder / "memory.events", "oom_kill"))

    def service_attach(self, name: str) -> list[str]:
        """Give the service a group beside the session's own processes."""
        if not self._main.is_dir():
            return list(self.attach)
        try:
            _make_leaf(self._service(name))
        except LimitsError:
            return list(self.attach)
        return [str(self._service(name) / "cgroup.procs")]

    def service_over_memory(self, name: str) -> bool:
        """Read the counter of the service's group."""
        return bool(cgroup.read_key(self._service(name) / "memory.events", "oom_kill"))

    def remove_service(self, name: str) -> None:
        """Remove the service's group."""
        cgroup.delete(self._service(name))

    def _service(self, name: str) -> Path:
        return self._folder / f"{cgroup.SERVICE}{name}"

    def kill_once(self, *, spare: bool = False) -> bool:
        """Kill in one step if the kernel has `cgroup.kill` (5.14) and nothing is spared, otherwise one by one."""
        try:
            if not (spare and any(map(is_tracker, cgroup.pids(self._folder)))):
                cgroup.write(self._folder / "cgroup.kill", 1)
                return not cgroup.pids(self._folder)
        except LimitsError:
            pass
        cgroup.fix_pids(self._folder, 0)
        empty = super().kill_once(spare=spare)
        if empty:
            cgroup.fix_pids(self._folder, self.most_pids or "max")
        return empty


class V2(Driver):
    """Creates groups below a delegated group."""

    def __init__(self, sessions: Path, key: str, controllers: Iterable[str]) -> None:
        self._sessions = sessions
        self._prefix = f"{cgroup.PREFIX}{key}."
        words = {"cpu": "cgroup v2 quota", "mem": "cgroup v2 limit", "pids": "cgroup v2 limit"}
        controls = [_CONTROLLERS[name] for name in controllers if name in _CONTROLLERS]
        self.means = {control: words[control] for control in controls}

    @classmethod
    def probe(cls, root: Path, key: str, wanted: Iterable[str]) -> V2 | None:
        """Return a driver for the wanted controls that work here, or None if none does."""
        place = cgroup.own(root).get(UNIFIED)
        base = _delegated_group(place.folder) if place else None
        main = [name for name, control in _CONTROLLERS.items() if control in wanted]
        there = cgroup.read(base / "cgroup.controllers").split() if base else []
        names = [name for name in main if name in there]
        if base is None or not names or not os.access(base, os.W_OK):
            return None
        sessions = _prepare_groups(base, names)
        working = [name for name in main if sessions and _probe(name, sessions, key)]
        return cls(sessions, key, working) if sessions and working else None

    def plan(self, id: str, cpu: Decimal) -> PartRecord:
        """Plan one folder."""
        del cpu
        folder = self._sessions / f"{self._prefix}{id}"
        return PartRecord(NAME, list(self.means), {UNIFIED: str(folder)})

    def build(self, record: PartRecord, cpu: Decimal, mem: int) -> None:
        """Create the folder and set the limits."""
        folder = Path(record.folders[UNIFIED])
        cgroup.make(folder)
        if "cpu" in record.controls:
            _limit_cpu(folder, cpu)
        if "pids" in record.controls and record.pids:
            cgroup.limit_pids(folder, record.pids)
        if "mem" in record.controls:
            _limit_memory(folder, mem)
            try:  # A subgroup for the session's own processes, if the memory controller can be delegated.
                _delegate(folder, ["memory"])
                _make_leaf(folder / _MAIN)
            except LimitsError:
                cgroup.delete(folder / _MAIN)
                _kill_as_group(folder)

    def leftovers(self) -> Iterable[tuple[str, PartRecord]]:
        """Yield the groups with this manager's key in their names."""
        for name, folders in cgroup.by_name({UNIFIED: self._sessions}, self._prefix):
            yield name, PartRecord(NAME, folders=folders)


def _delegated_group(folder: Path) -> Path:
    """Return the delegated group, also if this manager was moved or was started in a session."""
    above = cgroup.outside(folder)
    if above != folder and above.name == "sessions":
        return above.parent
    moved = folder.name == "manager" and (folder.parent / "sessions").is_dir()
    return folder.parent if moved else folder


def _prepare_groups(base: Path, names: list[str]) -> Path | None:
    """Delegate the controllers to `sessions`. Return None if other processes live in the group, too."""
    leaf, sessions = base / "manager", base / "sessions"
    try:
        cgroup.make(leaf)
        cgroup.write(leaf / "cgroup.procs", os.getpid())
        _delegate(base, names)
        cgroup.make(sessions)
        _delegate(sessions, names)
    except LimitsError:
        with suppress(LimitsError):
            cgroup.write(base / "cgroup.procs", os.getpid())
            cgroup.delete(leaf)
        return None
    return sessions


def _delegate(folder: Path, names: list[str]) -> None:
    """Delegate controllers one by one, so that one refusal does not affect the others. Errors: LimitsError if all fail."""
    refused = []
    control = folder / "cgroup.subtree_control"
    for name in set(names) - set(cgroup.read(control).split()):
        try:
            cgroup.write(control, f"+{name}")
        except LimitsError as error:
            refused.append(error)
    if refused and len(refused) == len(names):
        raise refused[0]


def _limit_cpu(folder: Path, cpu: Decimal) -> None:
    cgroup.write(folder / "cpu.max", f"{max(1000, int(cpu * _PERIOD_US))} {_PERIOD_US}")


def _limit_memory(folder: Path, mem: int) -> None:
    """Limit memory and forbid swap."""
    cgroup.write(folder / "memory.max", mem)
    if (folder / "memory.swap.max").exists():
        cgroup.write(folder / "memory.swap.max", 0)


def _make_leaf(folder: Path) -> None:
    cgroup.make(folder)
    _kill_as_group(folder)


def _kill_as_group(folder: Path) -> None:
    """Let the kernel kill all processes of a group together when memory runs out."""
    if (folder / "memory.oom.group").exists():
        cgroup.write(folder / "memory.oom.group", 1)


def _probe(name: str, sessions: Path, key: str) -> bool:
    folder = sessions / f"{cgroup.PREFIX}{key}.probe-{os.getpid()}"
    try:
        cgroup.make(folder)
        if name == "cpu":
            _limit_cpu(folder, Decimal("0.5"))
        elif name == "pids":
            cgroup.limit_pids(folder, _PROBE_PIDS)
        else:
            _limit_memory(folder, _PROBE_MEM)
        return cgroup.admits(folder / "cgroup.procs")
    except LimitsError:
        return False
    finally:
        cgroup.delete(folder)
