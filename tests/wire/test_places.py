"""Where the manager keeps things, and whom those who ask believe."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire import places
from jupyter_sessions.wire.files import remove, write_private
from jupyter_sessions.wire.identity import here, identify
from jupyter_sessions.wire.places import (
    STATE_VARIABLE,
    Contact,
    StateFolder,
    is_local,
    place,
    private_folder,
)
from jupyter_sessions.wire.signing import Keypair


def contact(pid: int | None = None, **other: object) -> Contact:
    identity = identify(pid or os.getpid())
    assert identity is not None
    return Contact(
        identity=msgspec.structs.replace(identity, **other),
        socket="/tmp/none",
        url="http://127.0.0.1:1",
        keypair=Keypair("AKIATEST", "secret"),
        version="0",
    )


@pytest.fixture
def where(tmp_path: Path) -> StateFolder:
    return StateFolder(private_folder(tmp_path / "state"), here())


def test_a_manager_that_lives_is_believed(where: StateFolder) -> None:
    assert where.contact() is None
    where.write_contact(contact())
    assert where.contact() == contact()
    assert stat.S_IMODE(where.contact_file.stat().st_mode) == 0o600
    assert where.contact_file.name == f"jupyter_sessions-{here().hostname}.json"


@pytest.mark.parametrize(
    "other",
    [{"start_time": 1}, {"boot_id": "another"}, {"pid_ns": 1}],
    ids=["reused pid", "reboot", "container"],
)
def test_another_process_of_that_pid_is_not(where: StateFolder, other: dict[str, int | str]) -> None:
    where.write_contact(contact(**other))
    assert where.contact() is None


def test_a_dead_one_is_not(where: StateFolder) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        where.write_contact(contact(child.pid))
        assert where.contact() is not None
        child.kill()
    assert where.contact() is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"identity": 1}', b"\xff"])
def test_nonsense_is_not(where: StateFolder, text: bytes) -> None:
    write_private(where.contact_file, text)
    assert where.contact() is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_file_of_somebody_else_is_not(where: StateFolder) -> None:
    where.write_contact(contact())
    os.chown(where.contact_file, 65534, 65534)
    assert where.contact() is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(private_folder(tmp_path / "trap"), 65534, 65534)
    with pytest.raises(SessionError, match="not this user's own"):
        private_folder(tmp_path / "trap")


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "trap").symlink_to(tmp_path / "target")
    with pytest.raises(SessionError, match="not this user's own"):
        private_folder(tmp_path / "trap")


def test_a_folder_that_others_may_enter_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    assert stat.S_IMODE(private_folder(tmp_path / "open").stat().st_mode) == 0o700


def test_homes_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    found = []
    for name in ("one", "two"):
        monkeypatch.setenv("HOME", str(tmp_path / name))
        found.append(place())
        assert found[-1].folder == tmp_path / name / ".local/state/jupyter_sessions" / here().hostname
        assert stat.S_IMODE(found[-1].folder.stat().st_mode) == 0o700
    folders = [where.run_folder() for where in found]
    assert folders[0] != folders[1]
    for folder in folders:
        assert len(str(folder)) < 40, "sockets in it would have too long a path"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        remove(folder)


def test_containers_of_one_home_are_apart(where: StateFolder) -> None:
    other = StateFolder(where.folder, msgspec.structs.replace(here(), pid_ns=1))
    assert len({where.folder, where.secondary.folder, other.secondary.folder}) == 3
    folders = [where.run_folder(), other.run_folder()]
    assert folders[0] != folders[1]
    for folder in folders:
        remove(folder)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of this user, with a short path."""
    folder = Path(tempfile.mkdtemp(prefix="rt"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)


def test_sockets_lie_in_the_runtime_folder_and_stay_there(where: StateFolder, runtime: Path) -> None:
    made = where.run_folder()
    assert made.parent == runtime
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert where.run_folder() == made, "a later manager finds the sockets of sessions"
    remove(made)
    assert where.run_folder() == made and made.is_dir()


@pytest.mark.parametrize("spoiled", ["open", "foreign", "link", "long", "none", "logout", "remote"])
def test_a_runtime_folder_that_will_not_do_is_passed_over(
    where: StateFolder, runtime: Path, spoiled: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if spoiled == "open":
        runtime.chmod(0o755)
    elif spoiled == "foreign":
        if os.getuid() != 0:
            pytest.skip("only root can give files away")
        os.chown(runtime, 65534, 65534)
    elif spoiled == "link":
        (tmp_path / "rt").symlink_to(runtime)
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "rt"))
    elif spoiled == "long":
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(private_folder(runtime / ("x" * 40))))
    elif spoiled == "none":
        monkeypatch.delenv("XDG_RUNTIME_DIR")
    elif spoiled == "logout":
        monkeypatch.setattr(places, "_goes_at_logout", lambda runtime: True)
    else:
        monkeypatch.setattr(places, "is_local", lambda path: False)
    made = where.run_folder()
    assert made.parent == Path("/tmp")
    remove(made)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("trap", ["folder", "link", "file"])
def test_who_takes_the_path_of_the_sockets_keeps_nobody_from_starting(
    where: StateFolder, trap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    first = where.run_folder()
    remove(first)
    if trap == "folder":
        first.mkdir()
    elif trap == "link":
        first.symlink_to("/tmp")
    else:
        first.touch()
    os.chown(first, 65534, 65534, follow_symlinks=False)
    second = where.run_folder()
    assert second != first
    assert where.run_folder() == second
    remove(second)
    first.rmdir() if trap == "folder" else first.unlink()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_nor_who_takes_the_path_of_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where homes are shared over a network, state lies on the node's own disk."""
    monkeypatch.delenv(STATE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(places, "_ON_DISK", str(tmp_path))
    monkeypatch.setattr(places, "is_local", lambda path: False)
    usual = tmp_path / f"jupyter_sessions-{os.getuid()}"
    assert place().folder.parent == usual
    shutil.rmtree(usual)
    usual.mkdir()
    os.chown(usual, 65534, 65534)
    found = place().folder
    assert found.parent.parent == tmp_path and found.parent != usual
    assert place().folder == found


def test_names_of_run_folders_cannot_be_foretold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    names = set()
    for _ in range(3):  # The same place each time, as far as another user can know.
        where = StateFolder(private_folder(tmp_path / "state"), here())
        folder = where.run_folder()
        names.add(folder.name)
        remove(folder)
        where.run_folder_file.unlink()
    assert len(names) == 3


def test_the_run_folder_of_an_earlier_boot_goes(where: StateFolder) -> None:
    old = StateFolder(where.folder, msgspec.structs.replace(here(), boot_id="earlier"))
    left = old.run_folder()
    (left / "socket").touch()
    new = where.run_folder()
    assert new != left and not left.exists()
    remove(new)


MOUNTS = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /home rw,relatime shared:1 - nfs4 server:/home rw
31 30 0:41 / /home/local rw,relatime - xfs /dev/vdb rw
32 22 0:42 / /data\040disk rw - fuse.sshfs user@host:/ rw
33 22 0:43 / /daten/übung rw - lustre server:/ rw
34 22 0:44 / /merged rw - fuse.fuse-overlayfs fuse-overlayfs rw
35 22 0:45 / /bucket rw - fuse.gcsfuse bucket rw
36 22 0:46 / /over rw - ext4 /dev/vdc rw
37 36 0:47 / /over rw - cifs //server/share rw
""".strip()


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/var/tmp/x", True),
        ("/home/somebody", False),
        ("/home/local/somebody", True),
        ("/homestead", True),
        ("/data disk/state", False),
        ("/daten/übung/state", False),
        ("/merged/root", True),
        ("/bucket/state", False),
        ("/over/state", False),
    ],
)
def test_network_file_systems_are_told_from_disks(path: str, local: bool) -> None:
    assert is_local(Path(path), MOUNTS) is local


def test_a_link_to_a_network_file_system(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/home")
    assert not is_local(tmp_path / "link" / "me", MOUNTS)


def test_readers_see_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    write_private(tmp_path / "file", b"old")
    with (tmp_path / "file").open("rb") as reader:
        write_private(tmp_path / "file", b"new")
        assert reader.read() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"new"
