"""What a manager that died could not clear up, the next one does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.errors import SessionError
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.manager.run import logs
from jupyter_sessions.manager.runtime import limits
from jupyter_sessions.manager.runtime.limits import cgroup
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.places import STATE_VARIABLE, place
from tests.conftest import end_everything
from tests.manager.world import ask, configure, ended, kill_manager, nothing_left, processes, run, says, until


def test_groups_of_nobody_are_swept(tmp_path: Path) -> None:
    """Also those of which no file tells; those of another manager are not touched."""
    mine = limits.choose(key="test-mine", records=tmp_path / "mine")
    if not mine.means["mem"].startswith("cgroup"):
        pytest.skip("needs control groups")
    other = limits.choose(key="test-other", records=tmp_path / "other")
    limits_groups = {name: mine.create(name, Decimal(1), 64 << 20) for name in ("kept", "gone", "unknown")}
    theirs = other.create("gone", Decimal(1), 64 << 20)
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        for path in limits_groups["gone"].attach:
            cgroup.write(Path(path), sleeper.pid)
        (tmp_path / "mine" / "unknown.json").unlink()
        again = limits.choose(key="test-mine", records=tmp_path / "mine")
        assert sorted(again.sweep({"kept"})) == ["gone", "unknown"]
        assert sleeper.wait(10) == -9
    assert not any(
        os.path.exists(path) for name in ("gone", "unknown") for path in limits_groups[name].attach
    )
    assert limits_groups["kept"].exists()
    assert theirs.exists()
    assert limits_groups["kept"].remove()
    assert theirs.remove()


@pytest.mark.asyncio
async def test_a_session_that_ended_only_on_paper(service: SessionService) -> None:
    """The manager died right after it had written down the end."""
    row = await run(service, "on-paper")
    await kill_manager()
    assert processes(row)
    store = Store(place().folder / "sessions.db")
    record = store.get(row.id)
    assert record is not None
    record.enter("TERMINATING", "user-requested")
    record.enter("TERMINATED", "user-requested")
    store.save(record)
    store.close()
    await start()
    await nothing_left(row)
    await until(lambda: not [path for path in place().run_folder().iterdir() if path.is_dir()])
    assert (await service.get("local", row.id)).status == "TERMINATED"


@pytest.mark.asyncio
async def test_limits_that_somebody_removed(service: SessionService) -> None:
    """A session that nothing limits any more is ended, and the row says why."""
    row = await run(service, "unlimited")
    sibling = await run(service, "sibling")
    await kill_manager()
    (place().folder / "cages" / f"{row.id}.json").unlink()
    row = await ended(service, row)
    assert row.status_info.startswith("the manager lost hold of it: Session ")
    await nothing_left(row)
    assert await says(service, sibling, "print(6 * 7)") == "42"


@pytest.mark.asyncio
async def test_services_are_ended_with_their_session(state: Path, service: SessionService) -> None:
    """Without control groups nothing but the manager knows that they belong to it."""
    configure(state, cgroups=False)
    row = await run(service, "serves", resources={"mem": "512m"})
    name = row.services[0].name
    path = (await service.open_service("local", row.id, name, "/x/")).base_url or "?"

    def serving() -> list[int]:
        found = [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"]]
        return [process.pid for process in found if any(path in p for p in process.info["cmdline"][-12:])]

    await until(serving)
    await kill_manager()
    assert (await service.get("local", row.id)).status == "RUNNING"
    await service.destroy("local", row.id, forced=True)
    await ended(service, row)
    await until(lambda: not serving())
    await nothing_left(row)


def test_logs_are_kept_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OUTPUT_BYTES", "KERNEL_BYTES", "SERVICE_BYTES"):
        monkeypatch.setattr(logs, name, 10_000)
    kept = logs.LogFiles(tmp_path)
    service_log = tmp_path / "service-jupyter.log"
    service_log.write_text("line\n" * 3_000)
    with kept.kernel.open("a") as writer:
        for number in range(3_000):
            writer.write(f"line {number}\n")
        writer.flush()
        kept.trim()
        writer.write("after\n")
    assert kept.kernel.stat().st_size < 5_100 and service_log.stat().st_size <= 5_000
    assert kept.text().endswith("line 2999\nafter\n")
    message = {"header": {"msg_type": "stream"}, "content": {"text": "x" * 99 + "\n"}}
    for _ in range(1_000):
        kept.add(message)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 30_000
    assert kept.text().endswith("x" * 99 + "\n")


@pytest.mark.asyncio
async def test_old_rows_go_with_their_files(service: SessionService) -> None:
    row = await run(service, "old-one")
    await service.destroy("local", row.id, forced=True)
    await ended(service, row)
    await kill_manager()
    store = Store(place().folder / "sessions.db")
    record = store.get(row.id)
    assert record is not None
    assert Path(record.folder).is_dir()
    record.changed = datetime(2020, 1, 1, tzinfo=UTC)
    store.save(record)
    store.close()
    await start()
    assert (await service.list(status="all")).sessions == []
    assert not Path(record.folder).exists()


async def start() -> None:
    """Start the manager."""
    await asyncio.to_thread(local.start)


@pytest.fixture
def _small_disk(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder on a file system of its own with hardly any room."""
    folder = state.parent / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", folder]).returncode:
        pytest.skip("needs the right to mount")
    monkeypatch.setenv(STATE_VARIABLE, str(folder))
    yield folder
    (folder / "filler").unlink(missing_ok=True)
    asyncio.run(end_everything())
    remove(place().run_folder())
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.asyncio
async def test_a_full_disk(_small_disk: Path, service: SessionService) -> None:
    """What runs goes on and may end; new sessions are refused, and the file is named."""
    row = await run(service, "was-there")
    with contextlib.suppress(OSError), (_small_disk / "filler").open("wb", buffering=0) as file:
        while file.write(b"x" * 4096):
            pass
    with pytest.raises(
        SessionError, match=r"The database .*sessions.db cannot be written: database or disk is full"
    ) as full:
        for number in range(20):  # What room the file has left goes first.
            await ask(service, f"too-much-{number}", resources={"cpu": "2"})
    assert f"file system at {_small_disk}." in full.value.hint
    there = {one.id for one in (await service.list()).sessions}
    assert {path.name for path in (_small_disk / "sessions").iterdir()} == there
    assert await says(service, row, "print(6 * 7)") == "42"
    await service.destroy("local", row.id)
    assert (await ended(service, row)).status_info == "user-requested"
    (_small_disk / "filler").unlink()

    def kept() -> str:
        store = Store(_small_disk / "sessions.db")
        record = store.get(row.id)
        store.close()
        return record.status if record else ""

    await until(lambda: kept() == "TERMINATED")
    again = await run(service, "again")
    assert await says(service, again, "print(6 * 7)") == "42"
