"""Which requirements share an environment, and who can read them."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from jupyter_sessions.wire.environment import Launch
from jupyter_sessions.wire.required_environments import with_requirements


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def folder_of(requirements: str, cwd: str = "/a") -> Path:
    launch = Launch(argv=[sys.executable, "-m", "ipykernel_launcher"], env={}, cwd=cwd)
    return Path(with_requirements(launch, requirements)[1].prepare[-1])


def test_others_cannot_read_requirements_and_they_are_written_once() -> None:
    wanted = "--index-url https://me:password@example.org/simple\nnumpy\n"
    folder = folder_of(wanted)
    file = folder / "requirements.txt"
    assert file.read_text() == wanted
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, file)] == [0o700, 0o600]
    written = file.stat()
    assert folder_of(wanted) == folder
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


@pytest.mark.parametrize(
    "requirements",
    [
        "-e .",
        "numpy\n  .[dev]\n",
        "--editable=../lib",
        "-r more.txt",
        "-cbounds.txt",
        "lib @ file:./lib",
        "lib/",
        "lib-1.0.tar.gz",
        "lib-1.0-py3-none-any.whl",
    ],
)
def test_requirements_with_paths_are_installed_for_each_working_folder(requirements: str) -> None:
    assert folder_of(requirements, "/a") != folder_of(requirements, "/b")
    assert folder_of(requirements, "/a") == folder_of(requirements, "/a")


@pytest.mark.parametrize(
    "requirements",
    [
        "numpy>=2.0\nscikit-learn[all]~=1.5; python_version > '3.10'\n",
        "--index-url https://example.org/simple\n--pre\nzipp\n",
        "lib @ git+https://example.org/a/lib.git@v1.0",
    ],
)
def test_others_are_shared_by_all_working_folders(requirements: str) -> None:
    assert folder_of(requirements, "/a") == folder_of(requirements, "/b")
