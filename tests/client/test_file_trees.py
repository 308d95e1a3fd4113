"""Which files go to a session, and where those land that come back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from jupyter_sessions.backends.file_transfer import FileContent, FileEntry, FileKind
from jupyter_sessions.client import Api
from jupyter_sessions.client.file_trees import LocalFile, check_pattern, fetch, files_below, summary
from jupyter_sessions.errors import BadAnswer, InvalidRequest, NotFound
from jupyter_sessions.model import SessionInfo


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = {
        ".git/config": "git",
        ".gitignore": "*.log\n/build/\n!keep.log\n",
        "main.py": "main",
        "run.log": "left out",
        "keep.log": "kept",
        "build/big.bin": "left out",
        "src/build/part.py": "kept",
        "src/.gitignore": "local*\n",
        "src/local.py": "left out",
        "src/ä b.py": "kept",
    }
    for name, text in made.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_a_folder_goes_without_what_git_ignores(project: Path) -> None:
    (project / "loop").symlink_to(project)
    names = [".gitignore", "keep.log", "main.py", "src/.gitignore", "src/build/part.py", "src/ä b.py"]
    assert [file.name for file in files_below(".")] == names
    assert [file.name for file in files_below("src")] == names[3:]
    assert [file.name for file in files_below("run.log")] == ["run.log"]  # Named by itself, it is meant.


def test_names_start_from_the_current_folder_or_are_those_of_what_is_sent(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "src")
    assert "project/main.py" in [file.name for file in files_below("..")]
    assert [file.name for file in files_below("../main.py")] == ["main.py"]
    assert "src/build/part.py" in [file.name for file in files_below("src/build", project)]
    with pytest.raises(NotFound, match="no file or folder 'none'"):
        files_below("none")
    with pytest.raises(NotFound, match="no files to send"):
        files_below("../build")


def test_a_summary_counts_files_and_bytes() -> None:
    files = [LocalFile(Path("a"), "a", 1024**2), LocalFile(Path("b"), "b", 1024**2)]
    assert (summary(files), summary(files[:1])) == ("2 files (2 MiB)", "1 file (1 MiB)")


class Listed:
    """Sessions with files that are nothing but names."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def ls(self, backend: str, id: str, path: str = ".") -> list[FileEntry]:
        found: dict[str, FileKind] = {}
        for name in self.names:
            inside = name if path == "." else name.removeprefix(f"{path}/")
            if path == "." or inside != name:
                head, _, rest = inside.partition("/")
                found[head] = "folder" if rest else "file"
        if not found:
            raise NotFound(f"There is no folder '{path}'.")
        return [FileEntry(name=name, kind=kind, size=0) for name, kind in found.items()]

    @asynccontextmanager
    async def download(self, backend: str, id: str, path: str) -> AsyncIterator[FileContent]:
        async def chunks() -> AsyncIterator[bytes]:
            yield path.encode()

        yield FileContent(chunks(), None)


def row(**fields: Any) -> SessionInfo:
    return SessionInfo(
        backend="lab", id="1", name="demo", image="", type="", status="RUNNING", status_info="",
        resources={}, services=[], created_at=None, **fields,
    )  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("results/**", {"results/a.csv", "results/deep/b.csv"}),
        ("results", {"results/a.csv", "results/deep/b.csv"}),
        ("/home/work/results/*.csv", {"results/a.csv"}),
        ("**/*.csv", {"results/a.csv", "results/deep/b.csv", "other/results/c.csv"}),
        ("top.txt", {"top.txt"}),
    ],
)
async def test_patterns(tmp_path: Path, pattern: str, expected: set[str]) -> None:
    api = Listed("top.txt", "results/a.csv", "results/deep/b.csv", "other/results/c.csv")
    found = await fetch(cast("Api", api), row(), pattern, tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in found} == expected
    assert {path.read_text() for path in found} == expected
    there = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert there == expected


@pytest.mark.asyncio
async def test_what_does_not_match_and_what_leads_out(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No file of 'demo' matches"):
        await fetch(cast("Api", Listed("a")), row(), "*.csv", tmp_path)
    for pattern in ("../x", "a/../../b", "/", "/home/work"):
        with pytest.raises(InvalidRequest, match="cannot be fetched"):
            check_pattern(pattern)

    class Hostile(Listed):
        async def ls(self, backend: str, id: str, path: str = ".") -> list[FileEntry]:
            return [FileEntry(name=self.names[0], kind="file", size=0)]

    for name in ("../escaped", "..", "/etc/passwd"):
        with pytest.raises(BadAnswer, match="names a file"):
            await fetch(cast("Api", Hostile(name)), row(), "**", tmp_path / "into")
    assert not (tmp_path / "escaped").exists()


@pytest.mark.asyncio
async def test_a_name_with_a_null_character_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadAnswer, match="names a file"):
        await fetch(cast("Api", Listed("a\0b")), row(), "**", tmp_path)
    with pytest.raises(InvalidRequest, match="cannot be fetched"):
        check_pattern("a\0/*")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("folders", "why"), [(1, "more than 100 folders"), (100_001, "more than 100,000 files")]
)
async def test_folders_without_end_are_refused(tmp_path: Path, folders: int, why: str) -> None:
    class Endless(Listed):
        async def ls(self, backend: str, id: str, path: str = ".") -> list[FileEntry]:
            return [FileEntry(name=str(number), kind="folder", size=0) for number in range(folders)]

    with pytest.raises(InvalidRequest, match=why):
        await fetch(cast("Api", Endless()), row(), "**", tmp_path)


@pytest.mark.asyncio
async def test_a_file_that_cannot_be_written_here_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file/inner", "n" * 300):
        with pytest.raises(InvalidRequest, match="cannot be written"):
            await fetch(cast("Api", Listed(name)), row(), name, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_folders_nested_too_deep_are_not_sent(tmp_path: Path) -> None:
    deepest = tmp_path.joinpath(*"d" * 120)
    deepest.mkdir(parents=True)
    with pytest.raises(InvalidRequest, match="More than 100 folders"):
        files_below(str(tmp_path))
