"""After a reboot, in a new container, in two containers at once, in two homes."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.store import Store
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.identity import here
from jupyter_sessions.wire.places import STATE_VARIABLE, StateFolder, place
from tests.conftest import end_everything
from tests.manager.world import (
    contact,
    ended,
    groups,
    kernels,
    kill_manager,
    nothing_left,
    processes,
    reach,
    run,
    says,
    until,
)

pytestmark = pytest.mark.asyncio

INSIDE = """
import asyncio, sys
from jupyter_sessions.backends import local
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from tests.manager import world

async def main():
    service = SessionService(JupyterSessions())
    for line in iter(sys.stdin.readline, ""):
        scope = {"service": service, "local": local, "world": world}
        print(await eval(line.strip(), scope), flush=True)

asyncio.run(main())
"""


class Container:
    """A Python in a pid namespace of its own, that shares all else with us; ends with all in it."""

    def __init__(self) -> None:
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if os.getuid() != 0:
            command += ["--user", "--map-root-user"]
        self._process = subprocess.Popen(
            [*command, sys.executable, "-c", INSIDE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    @property
    def pid_ns(self) -> int:
        """The namespace its processes are in."""
        return os.stat(f"/proc/{self._process.pid}/ns/pid_for_children").st_ino

    async def do(self, expression: str) -> str:
        """What an awaited expression gives in there, as text."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{expression}\n")
        self._process.stdin.flush()
        line = await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), 60)
        assert line, "it failed; see above"
        return line.strip()

    async def run(self, name: str) -> str:
        """The id of a session made in there."""
        return await self.do(f"world.running(service, {name!r})")

    async def statuses(self) -> str:
        """The sessions listed in there."""
        return await self.do("world.statuses(service)")

    def end(self) -> None:
        """End it, and with it all in it."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def container(state: Path) -> Iterator[Container]:
    if not shutil.which("unshare") or subprocess.run(["unshare", "--pid", "--fork", "true"]).returncode:
        pytest.skip("needs unshare")
    made = Container()
    inside = msgspec.structs.replace(here(), pid_ns=made.pid_ns)
    yield made
    made.end()
    remove(StateFolder(place().folder, inside).secondary.run_folder())
    for folder in state.parent.glob("state.*"):
        shutil.rmtree(folder)


def elsewhere(row: SessionInfo, **changes: object) -> None:
    """Make the store look as if it had last been written there, with this session running."""
    store = Store(place().folder / "sessions.db")
    store.set_host(msgspec.structs.replace(here(), **changes))
    record = store.get(row.id)
    assert record is not None
    assert record.process is not None
    identity = msgspec.structs.replace(record.process.child, **changes)
    record.process = msgspec.structs.replace(record.process, shim=identity, child=identity)
    (Path(record.folder) / "main" / "process.json").write_bytes(msgspec.json.encode(record.process))
    (Path(record.folder) / "main" / "exit.json").unlink(missing_ok=True)
    record.status = "RUNNING"
    store.save(record)
    place().live_file.touch()
    store.close()


def queue(name: str, like: Record) -> Record:
    """A pending session in the store."""
    record = Record(
        name=name,
        image=like.image,
        access_key=like.access_key,
        slots=like.slots,
        launch=like.launch,
        folder="",
    )
    record.folder = str(Path(like.folder).with_name(record.id))
    Path(record.folder).mkdir()
    return record


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"boot_id": "before"}, "the machine restarted"), ({"pid_ns": 1}, "the container was replaced")],
    ids=["reboot", "container"],
)
async def test_all_that_ran_has_ended_and_the_queue_goes_on(
    service: SessionService, changes: dict[str, object], why: str
) -> None:
    row = await run(service, "before")
    await kill_manager()
    for pid in processes(row):
        os.kill(pid, 9)
    await until(lambda: not processes(row))
    elsewhere(row, **changes)
    store = Store(place().folder / "sessions.db")
    like = store.get(row.id)
    assert like is not None
    waiting = queue("waiting", like)
    waiting.slots = waiting.slots | {"cpu": 10**9 * like.slots["cpu"]}
    starts = queue("starts", like)
    for record in (waiting, starts):
        store.save(record)
    store.close()

    row = await ended(service, row)
    assert (row.status, row.status_info) == ("TERMINATED", why)
    assert (await service.get("local", waiting.id)).status == "PENDING"
    again = await reach(service, await service.get("local", starts.id), "RUNNING")
    assert await says(service, again, "print(6 * 7)") == "42"
    await nothing_left(row)


async def test_two_containers_of_one_home(service: SessionService, container: Container) -> None:
    outer = await run(service, "outer")
    await says(service, outer, "kept = 1")
    mine = contact()
    inner = await container.run("inner")
    assert await container.statuses() == "inner RUNNING"
    assert local.find() == mine
    assert [row.name for row in (await service.list()).sessions] == ["outer"]
    # Both managers die, and neither takes over or ends what is the other's.
    await kill_manager()
    await container.do("world.kill_manager()")
    assert await container.statuses() == "inner RUNNING"
    assert await container.do(f"world.output(service, {inner!r}, 'print(6 * 7)')") == "42"
    assert await says(service, outer, "print(kept)") == "1"
    # All of ours ends; the place is free, but those in there still find their own sessions.
    await service.destroy("local", outer.id)
    await ended(service, outer)
    await kill_manager()
    await container.do("world.kill_manager()")
    assert await container.statuses() == "inner RUNNING"
    assert (await service.list(status="all")).sessions != []
    container.end()
    outer = await run(service, "again")
    assert await says(service, outer, "print(6 * 7)") == "42"


async def test_two_homes(
    state: Path, tmp_path: Path, service: SessionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = await run(service, "mine")
    here_ = contact()
    with monkeypatch.context() as patch:
        patch.setenv(STATE_VARIABLE, str(tmp_path / "other"))
        other = SessionService(JupyterSessions())
        theirs = await run(other, "mine")
        there = contact()
        assert (there.socket, there.url) != (here_.socket, here_.url)
        assert there.keypair != here_.keypair
        assert [row.id for row in (await other.list()).sessions] == [theirs.id]
        assert not {*groups(mine)} & {*groups(theirs)}
        await kill_manager()
        assert (await other.get("local", theirs.id)).status == "RUNNING"  # Sweeps what is not its own.
        await other.close()
        await end_everything()
        remove(place().run_folder())
    assert len(kernels(mine)) == 1
    assert await says(service, mine, "print(6 * 7)") == "42"
    assert contact() == here_
