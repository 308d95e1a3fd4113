"""How much there is: on machines made of files, and on this one."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path

import pytest

from jupyter_sessions.manager.run.environment import thread_env
from jupyter_sessions.manager.runtime.capacity import MachineResources, detect

GIB = 1 << 30
_UNLIMITED = 9223372036854771712
_V2 = "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
_V1 = """\
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 31 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine of 8 CPUs and 32 GiB without control groups."""
    _put(tmp_path, "proc/self/status", "Name:\tx\nCpus_allowed_list:\t0-7\n")
    _put(tmp_path, "proc/meminfo", f"MemTotal:       {32 * GIB // 1024} kB\nMemFree: 1 kB\n")
    return tmp_path


def _put(root: Path, path: str, text: object) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(f"{text}\n" if not str(text).endswith("\n") else str(text))


def test_the_machine(root: Path) -> None:
    assert detect({}, root=root) == MachineResources(Decimal(8), 32 * GIB)


def test_allowed_cpus(root: Path) -> None:
    _put(root, "proc/self/status", "Cpus_allowed_list:\t0,2-3,7")
    assert detect({}, root=root).cpu == 4


def test_v2_ancestors(root: Path) -> None:
    _put(root, "proc/self/cgroup", "0::/pod/container/app")
    _put(root, "proc/self/mountinfo", _V2)
    _put(root, "sys/fs/cgroup/pod/cpu.max", "150000 100000")
    _put(root, "sys/fs/cgroup/pod/memory.max", 8 * GIB)
    _put(root, "sys/fs/cgroup/pod/container/cpu.max", "max 100000")
    _put(root, "sys/fs/cgroup/pod/container/memory.max", "max")
    _put(root, "sys/fs/cgroup/pod/container/app/memory.max", 16 * GIB)
    assert detect({}, root=root) == MachineResources(Decimal("1.5"), 8 * GIB)


def test_v1_ancestors(root: Path) -> None:
    _put(root, "proc/self/cgroup", "4:memory:/a/b\n2:cpu,cpuacct:/a\n0::/")
    _put(root, "proc/self/mountinfo", _V1)
    _put(root, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", -1)
    _put(root, "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", 100000)
    _put(root, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", 250000)
    _put(root, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", 100000)
    _put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", _UNLIMITED)
    _put(root, "sys/fs/cgroup/memory/a/memory.limit_in_bytes", 4 * GIB)
    _put(root, "sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", _UNLIMITED)
    assert detect({}, root=root) == MachineResources(Decimal("2.5"), 4 * GIB)


def test_v1_limits_above_what_a_container_sees(root: Path) -> None:
    _put(root, "proc/self/cgroup", "4:memory:/kubepods/pod/abc")
    _put(root, "proc/self/mountinfo", _V1.replace("0:30 /", "0:30 /kubepods/pod/abc"))
    _put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", 6 * GIB)
    _put(root, "sys/fs/cgroup/memory/memory.stat", f"hierarchical_memory_limit {3 * GIB}")
    assert detect({}, root=root).mem == 3 * GIB


def test_mount_points_with_blanks(root: Path) -> None:
    _put(root, "proc/self/cgroup", "0::/")
    _put(root, "proc/self/mountinfo", _V2.replace("/sys/fs/cgroup", r"/my\040groups"))
    _put(root, "my groups/memory.max", GIB)
    assert detect({}, root=root).mem == GIB


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CPU_LIMIT": "0.5", "MEM_LIMIT": str(GIB)}, MachineResources(Decimal("0.5"), GIB)),
        ({"CPU_LIMIT": "4.0", "MEM_LIMIT": "1.5g"}, MachineResources(Decimal(4), 3 * GIB // 2)),
        ({"CPU_LIMIT": "0", "MEM_LIMIT": "0"}, MachineResources(Decimal(8), 32 * GIB)),
        ({"CPU_LIMIT": "None", "MEM_LIMIT": "lots"}, MachineResources(Decimal(8), 32 * GIB)),
        ({"CPU_LIMIT": "nan", "MEM_LIMIT": ""}, MachineResources(Decimal(8), 32 * GIB)),
        ({"CPU_LIMIT": "99", "MEM_LIMIT": "1T"}, MachineResources(Decimal(8), 32 * GIB)),
    ],
)
def test_the_environment(environ: dict[str, str], expected: MachineResources, root: Path) -> None:
    assert detect(environ, root=root) == expected


def test_this_machine() -> None:
    found = detect({})
    assert 0 < found.cpu <= (os.cpu_count() or 1)
    assert found.mem > 1 << 28


@pytest.mark.parametrize(("cpu", "threads"), [("0.5", "1"), ("1", "1"), ("3.9", "3"), ("16", "16")])
def test_threads(cpu: str, threads: str) -> None:
    env = thread_env(Decimal(cpu))
    assert {"OMP_NUM_THREADS", "MKL_NUM_THREADS", "JULIA_NUM_THREADS"} < set(env)
    assert set(env.values()) == {threads}
