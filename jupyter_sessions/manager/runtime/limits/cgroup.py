"""Functions for control groups of both versions: places, files, processes, removal."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from jupyter_sessions.manager.runtime.limits.part import LimitsError, Part, PartRecord
from jupyter_sessions.manager.runtime.trackers import is_tracker

UNIFIED = "unified"
PREFIX = "jupyter_sessions."
SERVICE = "service."
_REMOVE_S = 0.2


class CgroupMount(NamedTuple):
    """A mounted hierarchy; `root` is the part of it that is visible at `point`."""

    controllers: frozenset[str]
    root: str
    point: Path


class ControlGroup(NamedTuple):
    """The folder of a control group, and the topmost visible folder of its hierarchy."""

    folder: Path
    top: Path

    def ancestors(self) -> Iterator[Path]:
        """Yield the folder and all folders above it, up to the top."""
        yield self.folder
        if self.folder != self.top:
            yield from ControlGroup(self.folder.parent, self.top).ancestors()


def own(root: Path = Path("/")) -> dict[str, ControlGroup]:
    """Return the control groups of this process, by v1 controller, and as `unified` for v2."""
    found: dict[str, ControlGroup] = {}
    mounts = _mounts(root)
    for line in read(root / "proc/self/cgroup").splitlines():
        number, names, path = line.split(":", 2)
        for name in [UNIFIED] if number == "0" else names.split(","):
            places = [_place(mount, path) for mount in mounts if name in mount.controllers]
            if places:
                found[name] = max(places, key=lambda place: len(place.folder.parts))
    return found


def _mounts(root: Path) -> list[CgroupMount]:
    """Return the mounted hierarchies. Source of the fields: proc(5), mountinfo."""
    found = []
    for line in read(root / "proc/self/mountinfo").splitlines():
        front, _, back = line.partition(" - ")
        kind, _, options = back.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            names = frozenset([UNIFIED] if kind == "cgroup2" else options.split(","))
            inside, point = front.split(" ")[3:5]
            found.append(CgroupMount(names, _plain(inside), root / _plain(point).lstrip("/")))
    return found


def _plain(path: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), path)


def _place(mount: CgroupMount, path: str) -> ControlGroup:
    """Return the place of a path of /proc/self/cgroup; a container may see only its own part of the hierarchy."""
    top = mount.point
    if ".." in path.split("/"):
        return ControlGroup(top, top)
    inside = os.path.relpath(path, mount.root)
    folder = top if inside.startswith("..") else top / inside
    return ControlGroup(folder if folder.is_dir() else top, top)


def outside(folder: Path) -> Path:
    """Return the group that contains a manager's limits groups, given one of them or a group beside them."""
    for above in (folder, *folder.parents):
        if above.name.startswith(PREFIX):
            folder = above.parent
    return folder


def read(path: Path) -> str:
    """Return the text of a file, or "" if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def read_int(path: Path) -> int | None:
    """Return the number in a file, or None if there is none, as for `max`."""
    text = read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def read_key(path: Path, key: str) -> int | None:
    """Return the number after a key in a file of "key number" lines."""
    for line in read(path).splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None


def write(path: Path, value: object) -> None:
    """Write to a file of the control group file system, which creates its files itself. Errors: LimitsError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(fd, str(value).encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise LimitsError(f"{value} cannot be written to {path}: {error.strerror}.") from error


def make(folder: Path) -> None:
    """Create a group if it does not exist. Errors: LimitsError."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise LimitsError(f"The control group {folder} cannot be created: {error.strerror}.") from error


def delete(folder: Path) -> bool:
    """Remove an empty group and the groups in it. Return False if processes live there."""
    end = time.monotonic() + _REMOVE_S
    while folder.exists():
        try:
            for path, _, _ in os.walk(folder, topdown=False):
                os.rmdir(path)
        except OSError:
            if pids(folder) or time.monotonic() > end:
                return False
            time.sleep(0.005)
    return True


def pids(folder: Path) -> list[int]:
    """Return all processes in a group and in the groups below it."""
    found = [read(Path(path) / "cgroup.procs").split() for path, _, _ in os.walk(folder)]
    return [int(pid) for group in found for pid in group if pid != "0"]


def signal_all(folder: Path, signum: int = signal.SIGKILL, *, spare: bool = False) -> bool:
    """Send a signal to everything in a group, except resource trackers with `spare`. Return True if it was empty."""
    inside = pids(folder)
    for pid in inside:
        if spare and is_tracker(pid):
            continue
        try:
            os.kill(pid, signum)
        except (ProcessLookupError, PermissionError):
            continue
    return not inside


def limit_pids(folder: Path, most: int) -> None:
    """Limit the number of processes and threads. Errors: LimitsError."""
    write(folder / "pids.max", most)


def fix_pids(folder: Path, most: int | str) -> None:
    """Limit the number of processes and threads if the kernel supports it."""
    with contextlib.suppress(LimitsError):
        write(folder / "pids.max", most)


def admits(procs: Path) -> bool:
    """Return whether a test process can be moved into the group of this `cgroup.procs`."""
    with subprocess.Popen(["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE) as probe:
        try:
            write(procs, probe.pid)
            return str(probe.pid) in read(procs).split()
        except LimitsError:
            return False
        finally:
            probe.kill()


class CgroupPart(Part):
    """The part of a limits group that consists of control groups, of either version."""

    def __init__(self, record: PartRecord) -> None:
        self.record = record
        self.most_pids = record.pids if "pids" in record.controls else 0
        self.folders = {name: Path(folder) for name, folder in record.folders.items()}
        distinct = dict.fromkeys(record.folders.values())
        self.attach = [str(Path(folder) / "cgroup.procs") for folder in distinct]

    def pids(self) -> list[int]:
        """Return the processes of the first group; all groups have the same."""
        return pids(next(iter(self.folders.values()))) if self.folders else []

    def exists(self) -> bool:
        """Return whether all groups exist."""
        return all(folder.is_dir() for folder in self.folders.values())

    def kill_once(self, *, spare: bool = False) -> bool:
        """Send SIGKILL to everything in the groups, except resource trackers with `spare`. Return True if all were empty."""
        empty = [signal_all(folder, spare=spare) for folder in self.folders.values()]
        return all(empty)

    def remove(self) -> bool:
        """Remove the groups. Return False while processes live in one of them."""
        removed = [delete(folder) for folder in self.folders.values()]
        return all(removed)


def by_name(parents: Mapping[str, Path], prefix: str) -> Iterable[tuple[str, dict[str, str]]]:
    """Return session id and folders of all groups whose names begin with a manager's prefix."""
    found: dict[str, dict[str, str]] = {}
    for controller, parent in parents.items():
        for folder in parent.glob(f"{prefix}*"):
            name = folder.name.removeprefix(prefix)
            found.setdefault(name, {})[controller] = str(folder)
    return found.items()
