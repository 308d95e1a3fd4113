"""What control groups v1 and v2 have in common: places, files, processes, end."""

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
    """One hierarchy as mounted here: `root` is the part of it that can be seen at `point`."""

    controllers: frozenset[str]
    root: str
    point: Path


class ControlGroup(NamedTuple):
    """A control group's folder, and the topmost folder of its hierarchy that can be seen."""

    folder: Path
    top: Path

    def ancestors(self) -> Iterator[Path]:
        """The folder and all above it, to the top."""
        yield self.folder
        if self.folder != self.top:
            yield from ControlGroup(self.folder.parent, self.top).ancestors()


def own(root: Path = Path("/")) -> dict[str, ControlGroup]:
    """The control groups this process is in: by v1 controller, and as `unified` the one of v2."""
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
    """Field layout: proc(5), mountinfo."""
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
    """Where a path of /proc/self/cgroup is. In a container the mount may show just our own part."""
    top = mount.point
    if ".." in path.split("/"):
        return ControlGroup(top, top)
    inside = os.path.relpath(path, mount.root)
    folder = top if inside.startswith("..") else top / inside
    return ControlGroup(folder if folder.is_dir() else top, top)


def outside(folder: Path) -> Path:
    """The group that holds a manager's limits groups, seen from one of its limits groups or from beside them."""
    for above in (folder, *folder.parents):
        if above.name.startswith(PREFIX):
            folder = above.parent
    return folder


def read(path: Path) -> str:
    """The text of a file; empty when it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""


def read_int(path: Path) -> int | None:
    """The number in a file; None when there is none, or it says `max`."""
    text = read(path).strip()
    return int(text) if text.lstrip("-").isdigit() else None


def read_key(path: Path, key: str) -> int | None:
    """The number after a word, in a file of such lines."""
    for line in read(path).splitlines():
        name, _, value = line.partition(" ")
        if name == key:
            return int(value)
    return None


def write(path: Path, value: object) -> None:
    """Write to a file that exists: these file systems make theirs. Errors: LimitsError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_TRUNC)
        try:
            os.write(fd, str(value).encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise LimitsError(f"{value} cannot be written to {path}: {error.strerror}.") from error


def make(folder: Path) -> None:
    """Make a group, should it not be there yet. Errors: LimitsError."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise LimitsError(f"The control group {folder} cannot be made: {error.strerror}.") from error


def delete(folder: Path) -> bool:
    """Remove an empty group and those in it; False when something lives there."""
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
    """All processes in a group and in those below it."""
    found = [read(Path(path) / "cgroup.procs").split() for path, _, _ in os.walk(folder)]
    return [int(pid) for group in found for pid in group if pid != "0"]


def signal_all(folder: Path, signum: int = signal.SIGKILL, *, spare: bool = False) -> bool:
    """Signal everything in a group, with `spare` all but resource trackers; True when there was nothing."""
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
    """Allow so many processes and threads. Errors: LimitsError."""
    write(folder / "pids.max", most)


def fix_pids(folder: Path, most: int | str) -> None:
    """Allow so many processes and threads, where the kernel counts them."""
    with contextlib.suppress(LimitsError):
        write(folder / "pids.max", most)


def admits(procs: Path) -> bool:
    """True when a process can be put into the group of this `cgroup.procs`: tried with one."""
    with subprocess.Popen(["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE) as probe:
        try:
            write(procs, probe.pid)
            return str(probe.pid) in read(procs).split()
        except LimitsError:
            return False
        finally:
            probe.kill()


class CgroupPart(Part):
    """The part of a limits group made of control groups, of either version."""

    def __init__(self, record: PartRecord) -> None:
        self.record = record
        self.most_pids = record.pids if "pids" in record.controls else 0
        self.folders = {name: Path(folder) for name, folder in record.folders.items()}
        distinct = dict.fromkeys(record.folders.values())
        self.attach = [str(Path(folder) / "cgroup.procs") for folder in distinct]

    def pids(self) -> list[int]:
        """From the first of its groups: all hold the same."""
        return pids(next(iter(self.folders.values()))) if self.folders else []

    def exists(self) -> bool:
        """True while all its groups are there."""
        return all(folder.is_dir() for folder in self.folders.values())

    def kill_once(self, *, spare: bool = False) -> bool:
        """Send SIGKILL to all in its groups, with `spare` not to resource trackers; True when there was nothing."""
        empty = [signal_all(folder, spare=spare) for folder in self.folders.values()]
        return all(empty)

    def remove(self) -> bool:
        """Remove its groups; False while something lives in one."""
        removed = [delete(folder) for folder in self.folders.values()]
        return all(removed)


def by_name(parents: Mapping[str, Path], prefix: str) -> Iterable[tuple[str, dict[str, str]]]:
    """Session id and folders of all groups whose names begin with a manager's prefix."""
    found: dict[str, dict[str, str]] = {}
    for controller, parent in parents.items():
        for folder in parent.glob(f"{prefix}*"):
            name = folder.name.removeprefix(prefix)
            found.setdefault(name, {})[controller] = str(folder)
    return found.items()
