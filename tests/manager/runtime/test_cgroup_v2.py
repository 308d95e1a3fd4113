"""Control groups v2, on a tree of plain files that behaves like the kernel's."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions.manager.runtime.limits import Limits, LimitsError, cgroup, choose
from jupyter_sessions.manager.runtime.limits.cgroup_v2 import V2Part
from jupyter_sessions.manager.runtime.limits.part import PartRecord
from jupyter_sessions.manager.runtime.limits.pids import most_pids

_WRITE = cgroup.write
_FILES = {
    "memory": ("memory.max", "memory.swap.max", "memory.oom.group", "memory.events"),
    "cpu": ("cpu.max",),
    "pids": ("pids.max",),
}
_ALWAYS = ("cgroup.procs", "cgroup.subtree_control", "cgroup.kill", "cpu.stat")


class FakeV2:
    """A machine below `root` whose only hierarchy is v2; this process is in the group `path`.

    As in the kernel, groups get the files of controllers that the group above hands on, a process
    is in one group at a time, and a group with processes of its own cannot hand anything on.
    """

    def __init__(self, root: Path, path: str = "/delegated", mounted: str = "/") -> None:
        self.root = root
        self.top = root / "sys/fs/cgroup"
        self.own = self.top / os.path.relpath(path, mounted)
        (root / "proc/self").mkdir(parents=True)
        (root / "proc/self/cgroup").write_text(f"0::{path}\n")
        mount = f"31 23 0:28 {mounted} /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n"
        (root / "proc/self/mountinfo").write_text(f"1 0 8:1 / / rw - ext4 /dev/vda rw\n{mount}")
        self.own.mkdir(parents=True)
        self.offer("cpu memory pids")
        (self.own / "cgroup.procs").write_text(f"{os.getpid()}\n")

    def offer(self, controllers: str) -> None:
        """What the group this process starts in may use."""
        for name in _ALWAYS:
            (self.own / name).touch()
        (self.own / "cgroup.controllers").write_text(controllers)

    def make(self, folder: Path) -> None:
        handed_on = cgroup.read(folder.parent / "cgroup.subtree_control")
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.controllers").write_text(handed_on)
        for name in (*_ALWAYS, *(file for key in handed_on.split() for file in _FILES[key])):
            (folder / name).touch()

    def delete(self, folder: Path) -> bool:
        shutil.rmtree(folder, ignore_errors=True)
        return True

    def write(self, path: Path, value: object) -> None:
        if path.name == "cgroup.procs":
            self._move(path, str(value))
        elif path.name == "cgroup.subtree_control":
            self._hand_on(path, str(value).removeprefix("+"))
        else:
            _WRITE(path, value)
            if path.name == "cgroup.kill":
                cgroup.signal_all(path.parent)
                for procs in path.parent.rglob("cgroup.procs"):
                    procs.write_text("")

    def _move(self, path: Path, pid: str) -> None:
        for other in self.top.rglob("cgroup.procs"):
            other.write_text("".join(f"{one}\n" for one in other.read_text().split() if one != pid))
        path.write_text(f"{path.read_text()}{pid}\n")

    def _hand_on(self, path: Path, name: str) -> None:
        if name not in cgroup.read(path.with_name("cgroup.controllers")).split():
            raise LimitsError("ENOENT")
        if cgroup.read(path.with_name("cgroup.procs")).split():
            raise LimitsError("EBUSY")
        path.write_text(f"{path.read_text()} {name}".strip())


@pytest.fixture
def patched(monkeypatch: pytest.MonkeyPatch) -> Any:
    def use(fake: FakeV2) -> FakeV2:
        monkeypatch.setattr(cgroup, "make", fake.make)
        monkeypatch.setattr(cgroup, "write", fake.write)
        monkeypatch.setattr(cgroup, "delete", fake.delete)
        return fake

    return use


@pytest.fixture
def machine(tmp_path: Path, patched: Any) -> FakeV2:
    fake = patched(FakeV2(tmp_path))
    assert isinstance(fake, FakeV2)
    return fake


def _choose(fake: FakeV2) -> Limits:
    return choose(fake.root, key="me", records=fake.root / "records")


def _folder(limits_group: Any) -> Path:
    """The group of a session, which holds its limits; its processes are in one below."""
    (path,) = limits_group.attach
    assert path.endswith("/main/cgroup.procs")
    return Path(path).parent.parent


def test_the_manager_makes_room_for_cages(machine: FakeV2) -> None:
    limits = _choose(machine)
    assert limits.means == {
        "cpu": "cgroup v2 quota",
        "mem": "cgroup v2 limit",
        "pids": "cgroup v2 limit",
    }
    assert str(os.getpid()) in (machine.own / "manager/cgroup.procs").read_text()
    assert (machine.own / "cgroup.procs").read_text() == ""
    handed_on = (machine.own / "sessions/cgroup.subtree_control").read_text().split()
    assert sorted(handed_on) == ["cpu", "memory", "pids"]
    assert not list((machine.own / "sessions").glob("*probe*"))


def test_limits_of_a_cage(machine: FakeV2) -> None:
    limits_group = _choose(machine).create("one", Decimal("1.5"), 64 << 20)
    folder = _folder(limits_group)
    assert folder == machine.own / "sessions/jupyter_sessions.me.one"
    assert limits_group.affinity is None
    said = {name: (folder / name).read_text() for names in _FILES.values() for name in names}
    assert said["cpu.max"] == "150000 100000"
    assert said["memory.max"] == str(64 << 20)
    assert said["memory.swap.max"] == "0"
    assert said["memory.oom.group"] == ""  # One service can end without the session.
    assert (folder / "main/memory.oom.group").read_text() == "1"
    assert limits_group.remove()
    assert not folder.exists()


def test_usage_and_over_memory(machine: FakeV2) -> None:
    limits_group = _choose(machine).create("one", Decimal(1), 64 << 20)
    folder = _folder(limits_group)
    (folder / "cpu.stat").write_text("usage_usec 1234567\nuser_usec 1000000\n")
    (folder / "memory.current").write_text("5000\n")
    (folder / "memory.stat").write_text("anon 3000\ninactive_file 1500\n")
    (folder / "memory.peak").write_text("9000\n")
    (folder / "main/memory.events").write_text("low 0\noom 1\noom_kill 0\noom_group_kill 0\n")
    usage = limits_group.usage()
    assert (usage.cpu_ms, usage.mem, usage.mem_peak) == (1234, 3500, 9000)
    assert not limits_group.over_memory()
    (folder / "main/memory.events").write_text("low 0\noom 1\noom_kill 2\noom_group_kill 1\n")
    assert limits_group.over_memory()


def test_a_service_is_told_apart(machine: FakeV2) -> None:
    limits_group = _choose(machine).create("one", Decimal(1), 64 << 20)
    service = limits_group.service("lab")
    folder = _folder(limits_group) / "service.lab"
    assert service.attach == [str(folder / "cgroup.procs")]
    assert (folder / "memory.oom.group").read_text() == "1"
    (folder / "memory.events").write_text("oom_kill 1\n")
    # As in the kernel, what is counted below counts above, too.
    (_folder(limits_group) / "memory.events").write_text("oom_kill 1\n")
    assert service.over_memory()
    assert not limits_group.over_memory()
    service.remove()
    assert not folder.exists()


def test_cages_of_an_earlier_version_go_on(machine: FakeV2) -> None:
    limits = _choose(machine)
    folder = _folder(limits.create("one", Decimal(1), 64 << 20))
    machine.delete(folder / "main")
    limits_group = limits.open("one", Decimal(1), 64 << 20)
    assert limits_group.attach == limits_group.service("lab").attach == [str(folder / "cgroup.procs")]
    (folder / "memory.events").write_text("oom_kill 1\n")
    assert limits_group.over_memory()


def test_kill_is_one_write(machine: FakeV2) -> None:
    limits_group = _choose(machine).create("one", Decimal(1), 64 << 20)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        machine.write(Path(limits_group.attach[0]), child.pid)
        assert asyncio.run(limits_group.kill())
        assert child.wait(10) == -signal.SIGKILL
    assert (_folder(limits_group) / "cgroup.kill").read_text() == "1"


def test_a_later_manager_finds_its_cages(machine: FakeV2) -> None:
    limits_group = _choose(machine).create("one", Decimal(1), 64 << 20)
    (machine.root / "proc/self/cgroup").write_text("0::/delegated/manager\n")
    later = _choose(machine)
    assert later.means["mem"] == "cgroup v2 limit"
    assert later.open("one", Decimal(1), 64 << 20).attach == limits_group.attach
    assert _folder(later.create("two", Decimal(1), 64 << 20)).parent == _folder(limits_group).parent
    assert not (machine.own / "manager/manager").exists()


def test_a_manager_in_another_group_finds_its_cages(machine: FakeV2) -> None:
    limits_group = _choose(machine).create("one", Decimal(1), 64 << 20)
    elsewhere = machine.top / "elsewhere"
    elsewhere.mkdir()
    (machine.root / "proc/self/cgroup").write_text("0::/elsewhere\n")
    later = _choose(machine)
    assert later.means["mem"] == "watchdog"
    again = later.open("one", Decimal(1), 64 << 20)
    assert again.attach == limits_group.attach
    assert later.sweep(()) == ["one"]
    assert not _folder(limits_group).exists()


def test_a_manager_started_in_a_session_uses_the_groups_beside(machine: FakeV2) -> None:
    limits_group = _choose(machine).create("one", Decimal(1), 64 << 20)
    inside = os.path.relpath(_folder(limits_group), machine.top)
    (machine.root / "proc/self/cgroup").write_text(f"0::/{inside}\n")
    inner = choose(machine.root, key="inner", records=machine.root / "inner")
    assert _folder(inner.create("x", Decimal(1), 64 << 20)).parent == machine.own / "sessions"


def test_a_group_shared_with_others_is_left_alone(machine: FakeV2) -> None:
    with (machine.own / "cgroup.procs").open("a") as procs:
        procs.write("1\n")
    limits = _choose(machine)
    assert limits.means == {"cpu": "CPU affinity", "mem": "watchdog", "pids": "watchdog"}
    assert (machine.own / "cgroup.procs").read_text().split() == ["1", str(os.getpid())]
    assert not (machine.own / "manager").exists()


def test_each_controller_for_itself(machine: FakeV2) -> None:
    machine.offer("memory pids")
    limits = _choose(machine)
    assert limits.means == {"cpu": "CPU affinity", "mem": "cgroup v2 limit", "pids": "cgroup v2 limit"}
    limits_group = limits.create("one", Decimal(1), 64 << 20)
    assert limits_group.affinity is not None
    assert (_folder(limits_group) / "memory.max").read_text() == str(64 << 20)


def test_a_container_that_sees_its_own_part_only(tmp_path: Path, patched: Any) -> None:
    fake = patched(FakeV2(tmp_path, path="/docker/0123/inner", mounted="/docker/0123"))
    assert fake.own == fake.top / "inner"
    assert _choose(fake).means["mem"] == "cgroup v2 limit"


def test_a_failed_create_leaves_nothing(machine: FakeV2, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = _choose(machine)

    def refuse(path: Path, value: object) -> None:
        if path.name == "memory.max":
            raise LimitsError(f"{value} cannot be written to {path}: Invalid argument.")
        machine.write(path, value)

    monkeypatch.setattr(cgroup, "write", refuse)
    with pytest.raises(LimitsError, match=r"memory\.max: Invalid"):
        limits.create("one", Decimal(1), 64 << 20)
    assert not list((machine.own / "sessions").glob("jupyter_sessions.*"))
    assert not list((machine.root / "records").iterdir())


def test_processes_are_limited_also_after_a_kill(machine: FakeV2, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `cgroup.kill` none may be made while they are ended; a restarted session is limited again."""
    limits = choose(machine.root, key="me", records=machine.root / "records", pids=77)
    limits_group = limits.create("one", Decimal(1), 64 << 20)
    assert limits_group.most_pids == 77
    file = _folder(limits_group) / "pids.max"
    assert file.read_text() == "77"
    seen = list[object]()

    def write(path: Path, value: object) -> None:
        if path.name == "cgroup.kill":
            raise LimitsError("no such file")
        if path == file:
            seen.append(value)
        machine.write(path, value)

    monkeypatch.setattr(cgroup, "write", write)
    assert limits.open("one", Decimal(1), 64 << 20).kill_once()
    assert seen == [0, 77]


def test_no_more_processes_than_the_machine_can_have(machine: FakeV2) -> None:
    """Which its kernel, the control groups above this process, and threads of all may limit."""
    assert most_pids(Decimal("0.5"), root=machine.root) == 4096
    assert most_pids(Decimal(20), root=machine.root) == 5120
    assert most_pids(Decimal("16.5"), root=machine.root) == 4224
    assert most_pids(Decimal(20), 100, root=machine.root) == 100
    kernel = machine.root / "proc/sys/kernel"
    kernel.mkdir(parents=True)
    (kernel / "threads-max").write_text("4000\n")
    assert most_pids(Decimal(1), root=machine.root) == 4000
    (kernel / "pid_max").write_text("3000\n")
    assert most_pids(Decimal(1), 10**6, root=machine.root) == 3000
    (machine.own / "pids.max").write_text("max\n")
    (machine.top / "pids.max").write_text("512\n")
    assert most_pids(Decimal(1), root=machine.root) == 512


@pytest.fixture
def real_group() -> Any:
    place = cgroup.own().get(cgroup.UNIFIED)
    if place is None or not os.access(place.folder, os.W_OK):
        pytest.skip("no control group v2 that is ours")
    folder = place.folder / f"{cgroup.PREFIX}test-{os.getpid()}.kill"
    try:
        cgroup.make(folder)
    except LimitsError as error:
        pytest.skip(str(error))
    yield folder
    assert cgroup.delete(folder)


def test_kill_in_a_real_group(real_group: Path, until: Any) -> None:
    """Even without controllers, as beside v1, v2 groups hold processes and end them."""
    part = V2Part(PartRecord("cgroup v2", folders={cgroup.UNIFIED: str(real_group)}))
    code = "import os; print(os.fork(), flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", f"input(); {code}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        cgroup.write(Path(part.attach[0]), child.pid)
        child.stdin.write(b"go\n")
        child.stdin.flush()
        child.stdout.readline()
        assert len(cgroup.pids(real_group)) == 2
        until(part.kill_once)
        assert child.wait(10) == -signal.SIGKILL
    assert part.remove()
