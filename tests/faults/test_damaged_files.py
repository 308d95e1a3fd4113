"""Whatever becomes of one session's files, the manager starts, the others run, and that one goes on or says why not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import place
from tests.kernels.clients import connect, shell
from tests.manager.world import ask, configure, kernels, kill_manager, run, says, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600)]

LEAST = {"cpu": "0.02", "mem": "128m"}
KINDS = ("runs", "waits", "cluster")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _garbage(path: Path) -> None:
    path.write_text("{]\nnot what you\nlook for")


def _deep(path: Path) -> None:
    path.write_text("\n".join('["shell",' + "[" * 100_000 for _ in range(2)))


def _other(path: Path) -> None:
    """JSON, but of something else."""
    path.write_text('{"pid": -1, "shim": 1, "key": [], "id": "../.."}\n')


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def _zeros(path: Path) -> None:
    """As a power loss leaves it."""
    path.write_bytes(bytes(path.stat().st_size or 100))


def _missing(path: Path) -> None:
    path.unlink()


def _folder(path: Path) -> None:
    path.unlink()
    (path / "in it").mkdir(parents=True)


def _pipe(path: Path) -> None:
    """Who opens it to read waits for ever."""
    path.unlink()
    os.mkfifo(path)


def _locked(path: Path) -> None:
    """Unless one is root."""
    path.chmod(0)


def _link_in_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


DAMAGES: list[Callable[[Path], None]] = [
    _empty,
    _garbage,
    _deep,
    _other,
    _binary,
    _zeros,
    _missing,
    _folder,
    _pipe,
    _locked,
    _link_in_circle,
]


async def begin(service: SessionService, kind: str, number: int) -> SessionInfo:
    """A session that leaves as many files as it can."""
    name = f"{kind}-{number}"
    if kind == "waits":
        row = await ask(
            service, name, resources=LEAST, starts_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat()
        )
    else:
        row = await run(service, name, resources=LEAST, cluster_size=1 + (kind == "cluster"))
        await says(service, row, "print('kept')")
    connection = await connect(service, row)

    def ask_more() -> None:
        with shell(connection) as front:
            front.client.execute("import time; time.sleep(0.5)")

    # In a thread's own context: kernel clients keep their event loop in a context variable.
    await asyncio.get_running_loop().run_in_executor(None, ask_more)
    noted = place().folder / "sessions" / row.id / ("waiting.jsonl" if kind == "waits" else "unanswered.json")
    await until(noted.exists)
    return row


async def begin_all(service: SessionService, kinds: Iterable[str], first: int) -> list[SessionInfo]:
    """Begin sessions at once, and number them."""
    return await asyncio.gather(*(begin(service, kind, number) for number, kind in enumerate(kinds, first)))


def files_of(row: SessionInfo) -> dict[str, Path]:
    """All that is on disk of a session, by its name there."""
    folder = place().folder
    mine = [path for path in (folder / "sessions" / row.id).rglob("*") if path.is_file()]
    mine += [path for path in folder.rglob(f"*{row.id}*") if path.is_file()]
    return {str(path.relative_to(folder)).replace(row.id, "ID"): path for path in mine}


async def outcome(service: SessionService, row: SessionInfo) -> str:
    """What has become of a session."""
    now = await service.get("local", row.id)
    if now.status == "RUNNING":
        async with asyncio.timeout(30):
            return f"RUNNING: {await says(service, row, 'print(6 * 7)')}"
    return f"{now.status}: {now.status_info}"


async def test_one_damaged_file(service: SessionService, state: Path) -> None:
    configure(state, cgroups=False, warm_pool=0)
    healthy = await run(service, "healthy")
    await says(service, healthy, "x = 41")
    firsts = dict(zip(KINDS, await begin_all(service, KINDS, 0), strict=True))
    found = [(kind, name) for kind, first in firsts.items() for name in files_of(first)]
    wanted = [(kind, name) for kind, name in found if kind != "cluster" or "/sub1/" in name]
    assert {
        ("runs", "sessions/ID/kernel.json"),
        ("runs", "sessions/ID/main/process.json"),
        ("runs", "sessions/ID/unanswered.json"),
        ("waits", "sessions/ID/waiting.jsonl"),
    } <= set(wanted)
    rows = dict(zip(wanted, await begin_all(service, [kind for kind, _ in wanted], 1), strict=True))
    wrong: list[str] = []
    for damage in DAMAGES:
        await kill_manager()
        for (_, name), row in rows.items():
            if (path := files_of(row).get(name)) is not None:
                damage(path)
        await asyncio.to_thread(local.start)
        assert await says(service, healthy, "print(x + 1)") == "42", damage.__name__
        ended = []
        ends = await asyncio.gather(*(outcome(service, row) for row in rows.values()))
        for (kind, name), said in zip(rows, ends, strict=True):
            status, _, why = said.partition(": ")
            if not why or (status == "RUNNING" and why != "42"):
                wrong.append(f"{damage.__name__} {kind} {name}: {status} {why}")
            if status not in ("RUNNING", "PENDING"):
                await until(lambda row=rows[kind, name]: not kernels(row))
                ended.append((kind, name))
        number = 100 * (DAMAGES.index(damage) + 1)
        again = await begin_all(service, [kind for kind, _ in ended], number)
        rows |= dict(zip(ended, again, strict=True))
    assert not wrong, "\n".join(wrong)
