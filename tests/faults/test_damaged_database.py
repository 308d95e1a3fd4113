"""A damaged database is put aside, and made again from the sessions' own files: what runs goes on."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.errors import SessionError
from jupyter_sessions.service import SessionService
from tests.faults.test_leftovers import _small_disk as _small_disk
from tests.manager.world import (
    V8,
    Rest,
    ask,
    contact,
    ended,
    kernels,
    kill_manager,
    managers,
    reach,
    run,
    says,
    until,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]


def _garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def _pages(path: Path) -> None:
    """The head is right, what follows is not: it shows only when it is read."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))


def _halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _gone(path: Path) -> None:
    path.unlink()


def checkpoint(state: Path) -> None:
    """Bring the write-ahead log into the database, or it would be taken for what is damaged."""
    with contextlib.closing(sqlite3.connect(state / "sessions.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def whole(state: Path) -> None:
    """The same with no manager, and nothing left beside it."""
    checkpoint(state)
    for part in ("-wal", "-shm"):
        (state / f"sessions.db{part}").unlink(missing_ok=True)


async def test_a_manager_finds_it_damaged(service: SessionService, state: Path) -> None:
    row = await run(service, "lives-on")
    await says(service, row, "kept = 41")
    over = await run(service, "is-over")
    await service.destroy("local", over.id)
    await ended(service, over)
    async with Rest(V8) as rest:
        key = (await rest.send("POST", "/admin/keys", {"role": "user"})).json()
    keypair = contact().keypair
    for number, damage in enumerate((_garbage, _pages, _halved, _folder), 1):
        lost = await run(service, "is-lost")
        await kill_manager()
        whole(state)
        damage(state / "sessions.db")
        (state / "sessions" / lost.id / "record.json").write_text("")
        (state / "manager.log").write_text("")

        assert await says(service, row, "print(kept + 1)") == "42", damage.__name__
        assert {one.name for one in (await service.list(status="all")).sessions} == {"lives-on", "is-over"}
        assert (await service.get("local", over.id)).status_info == "user-requested"
        await until(lambda lost=lost: not kernels(lost))
        assert contact().keypair == keypair
        async with Rest(V8) as rest:
            keys = (await rest.send("GET", "/admin/keys")).json()["keys"]
        assert key["access_key"] in {one["access_key"] for one in keys}
        assert len([*state.glob("sessions.db.damaged-*[0-9]")]) == min(number, 3), "the last three are kept"
        said = (state / "manager.log").read_text()
        assert (
            "2 sessions could be restored from their own files; 1 session could not, and count as ended"
            in said
        )
        shutil.rmtree(state / "sessions" / lost.id)


async def test_it_is_damaged_while_a_manager_runs(service: SessionService, state: Path) -> None:
    """The manager makes way for one that makes it again."""
    row = await run(service, "lives-on")
    await says(service, row, "kept = 41")
    before = contact().identity
    checkpoint(state)
    with (state / "sessions.db").open("r+b") as file:
        file.write(b"\xa5" * (state / "sessions.db").stat().st_size)
    with contextlib.suppress(SessionError):
        for number in range(10):
            await ask(service, f"more-{number}", resources={"cpu": "0.01", "mem": "64m"})
            await service.list(status="all")
    await until(lambda: not before.alive())
    await until(lambda: local.find() is not None)
    assert await says(service, row, "print(kept + 1)") == "42"
    await reach(service, await ask(service, "afterwards"), "RUNNING")
    assert len(managers(state)) == 1


async def test_one_row_is_damaged(service: SessionService, state: Path) -> None:
    """It is read from the session's folder, and if that is damaged, too, the session has ended."""
    rows = [await run(service, f"row-{number}") for number in range(3)]
    await kill_manager()
    with contextlib.closing(sqlite3.connect(state / "sessions.db")) as db:
        db.execute("UPDATE sessions SET record = ? WHERE name != 'row-0'", (b"{" * 5000,))
        db.commit()
    (state / "sessions" / rows[2].id / "record.json").unlink()
    assert [await says(service, row, "print(6 * 7)") for row in rows[:2]] == ["42", "42"]
    assert (await ended(service, rows[2])).status_info == "its record is damaged"
    await until(lambda: not kernels(rows[2]))


async def test_a_full_disk_at_the_start_is_named(_small_disk: Path, service: SessionService) -> None:
    with contextlib.suppress(OSError), (_small_disk / "filler").open("wb", buffering=0) as file:
        while file.write(b"x" * 512):
            pass
    with pytest.raises(SessionError, match=f"the file system at {_small_disk} is full") as full:
        await ask(service, "none")
    assert full.value.hint == f"Make room on the file system at {_small_disk}."
    (_small_disk / "filler").unlink()
    assert await says(service, await run(service, "again"), "print(6 * 7)") == "42"
