"""Finding one's own control groups, in the shapes that machines and containers have."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_sessions.manager.runtime.limits import LimitsError, cgroup
from jupyter_sessions.manager.runtime.limits.cgroup_v1 import V1Part
from jupyter_sessions.manager.runtime.limits.part import PartRecord


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "proc/self").mkdir(parents=True)
    return tmp_path


def _machine(root: Path, groups: str, *mounts: tuple[str, str, str, str]) -> None:
    """`mounts` are (type, options, visible part, mount point)."""
    (root / "proc/self/cgroup").write_text(groups)
    lines = [
        f"3{number} 31 0:{number} {part} {point} rw shared:1 - {kind} cgroup rw,{options}\n"
        for number, (kind, options, part, point) in enumerate(mounts)
    ]
    (root / "proc/self/mountinfo").write_text("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + "".join(lines))


def test_v1_beside_v2(root: Path) -> None:
    _machine(
        root,
        "4:memory:/user\n2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/user\n",
        ("cgroup", "cpu,cpuacct", "/", "/cg/cpu"),
        ("cgroup", "memory", "/", "/cg/memory"),
        ("cgroup2", "nsdelegate", "/", "/cg/unified"),
    )
    (root / "cg/memory/user").mkdir(parents=True)
    found = {name: str(place.folder.relative_to(root)) for name, place in cgroup.own(root).items()}
    assert found["memory"] == "cg/memory/user"
    assert found["cpu"] == found["cpuacct"] == "cg/cpu"
    # A group that cannot be seen here is stood for by what can.
    assert found[cgroup.UNIFIED] == "cg/unified"


def test_a_container_with_the_path_of_the_host(root: Path) -> None:
    mount = ("cgroup", "memory", "/docker/abc", "/cg/memory")
    _machine(root, "4:memory:/docker/abc/inner\n", mount)
    (root / "cg/memory/inner").mkdir(parents=True)
    place = cgroup.own(root)["memory"]
    assert list(place.ancestors()) == [root / "cg/memory/inner", root / "cg/memory"]


@pytest.mark.parametrize("path", ["/../outside", "/docker/other", "/gone"])
def test_a_group_out_of_sight(path: str, root: Path) -> None:
    _machine(root, f"0::{path}\n", ("cgroup2", "", "/docker/abc", "/cg"))
    (root / "cg").mkdir()
    assert cgroup.own(root)[cgroup.UNIFIED] == (root / "cg", root / "cg")


def test_without_control_groups(root: Path) -> None:
    assert cgroup.own(root) == {}


def test_controllers_that_share_a_hierarchy_are_joined_once() -> None:
    folders = {"cpu": "/cg/cpu,cpuacct/x", "cpuacct": "/cg/cpu,cpuacct/x", "memory": "/cg/memory/x"}
    part = V1Part(PartRecord("cgroup v1", folders=folders))
    assert part.attach == ["/cg/cpu,cpuacct/x/cgroup.procs", "/cg/memory/x/cgroup.procs"]
    assert not part.exists()


def test_outside_of_cages() -> None:
    assert cgroup.outside(Path("/cg/a")) == Path("/cg/a")
    assert cgroup.outside(Path("/cg/a/jupyter_sessions.k.id/deeper")) == Path("/cg/a")


def test_a_failed_write_names_file_and_reason(tmp_path: Path) -> None:
    with pytest.raises(LimitsError, match=r"7 cannot be written to .*/none: No such file"):
        cgroup.write(tmp_path / "none", 7)
