"""What is true of the process that asks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_sessions.wire import process_context


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A /proc in which this process is below the shell 7000 and init."""
    _process(tmp_path, os.getppid(), 7000, "bash")
    _process(tmp_path, 7000, 1, "init")
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/self/cgroup").write_text(
        "4:memory:/user.slice\n0::/user.slice/jupyter_sessions.service\n"
    )
    return tmp_path


def _process(root: Path, pid: int, parent: int, *command: str) -> None:
    folder = root / "proc" / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stat").write_text(f"{pid} (a) b) S {parent} 1 1 0\n")
    (folder / "cmdline").write_text("\0".join(command) + "\0")


def test_who_is_in_no_session(root: Path) -> None:
    assert not process_context.in_session(root)
    assert process_context.bounds({"CPU_LIMIT": "0.5", "MEM_LIMIT": "1G"}, root) == {
        "cpu": "0.5",
        "mem": str(1 << 30),
    }
    assert process_context.bounds({"MEM_LIMIT": "much"}, root).get("mem") is None


def test_the_devices_of_the_asker(root: Path) -> None:
    assert process_context.visible_devices({}, root) is None
    assert process_context.visible_devices({"CUDA_VISIBLE_DEVICES": ""}, root) == ""
    assert process_context.visible_devices({"CUDA_VISIBLE_DEVICES": "1,GPU-a"}, root) == "1,GPU-a"
    group = "/jupyter_sessions.jps-0-12345678.0b5c6a9e-0000-4000-8000-000000000000"
    (root / "proc/self/cgroup").write_text(f"4:memory:{group}\n")
    assert process_context.visible_devices({"CUDA_VISIBLE_DEVICES": "1"}, root) is None, "that of its session"


def test_a_control_group_tells(root: Path) -> None:
    group = "/a/jupyter_sessions.jps-0-12345678.0b5c6a9e-0000-4000-8000-000000000000"
    (root / "proc/self/cgroup").write_text(f"4:memory:{group}\n")
    assert process_context.in_session(root)
    assert process_context.bounds({"CPU_LIMIT": "0.5"}, root) == {}


@pytest.mark.parametrize(
    "name", ["programs-0123abcd/shim.py", "programs-0123abcd/prestart_shim.py", "programs/shim.py"]
)
def test_an_ancestor_tells(root: Path, name: str) -> None:
    _process(root, 7000, 1, "python3", "-I", "-S", f"/state/{name}", "/state/sessions/x/main/spec.json")
    assert process_context.in_session(root)


def test_somebody_else_s_program_does_not(root: Path) -> None:
    _process(root, 7000, 1, "vim", "-S", "/home/ada/shim.py")
    assert not process_context.in_session(root)
