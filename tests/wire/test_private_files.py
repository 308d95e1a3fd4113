"""Small files are written in one step, and read as if whatever lies there could be damaged."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from jupyter_sessions.wire.files import load, read, remove, write_private


@pytest.mark.parametrize("durable", [False, True])
def test_what_was_written_is_read(tmp_path: Path, durable: bool) -> None:
    file = tmp_path / "file.json"
    for numbers in ([1], [1, 2]):
        write_private(file, str(numbers).encode(), durable=durable)
        assert load(file, list[int]) == numbers
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["file.json"]


def test_a_folder_in_its_place_gives_way(tmp_path: Path) -> None:
    (tmp_path / "file.json" / "in it").mkdir(parents=True)
    write_private(tmp_path / "file.json", b"1")
    assert load(tmp_path / "file.json", int) == 1


@pytest.mark.parametrize("data", [b"", b"\0\0\0", b"{", b"\xff", b'"text"', b"[" * 100_000])
def test_what_is_damaged_is_an_error_of_the_system(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file.json").write_bytes(data)
    with pytest.raises(OSError, match=r"file\.json is damaged: "):
        load(tmp_path / "file.json", dict[str, list[int]])


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "."):
        with pytest.raises(OSError, match=r"is not a regular file|Is a directory"):
            read(tmp_path / name)
    (tmp_path / "big").write_bytes(b"x" * 11)
    with pytest.raises(OSError, match="is larger than 10 bytes"):
        read(tmp_path / "big", most=10)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


def test_anything_can_be_removed_and_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept" / "in it").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "folder" / "in it").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("link", "folder", "file", "none"):
        remove(tmp_path / name)
    assert os.listdir(tmp_path) == ["kept"]
    assert (tmp_path / "kept" / "in it").is_dir()
