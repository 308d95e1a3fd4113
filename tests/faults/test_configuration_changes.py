"""The configuration and the code change under a manager that runs."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import jupyter_sessions
from jupyter_sessions import config
from jupyter_sessions.backends import local
from jupyter_sessions.backends.local import Local
from jupyter_sessions.errors import InvalidRequest, NotEnough
from jupyter_sessions.service import SessionService
from tests.manager.world import ask, configure, contact, ended, reach, run, says, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]
START = "from jupyter_sessions.backends import local; print(local.start().identity.pid)"


async def total(service: SessionService, slot: str) -> str:
    """How much there is of a slot."""
    there = await service.backends["local"].capacity()
    return there[slot].total if slot in there else "none"


async def test_options_hold_at_once(service: SessionService, state: Path, tmp_path: Path) -> None:
    configure(state, max_sessions=1, max_resources={"cpu": 1})
    row, identity = await run(service, "first-one"), contact().identity
    waits = await ask(service, "second-one")
    assert "another session to end" in (await reach(service, waits, "PENDING")).status_info
    (tmp_path / "data").mkdir()
    configure(
        state,
        max_sessions=2,
        gpus=["fake-0", "fake-1"],
        folders={"data": str(tmp_path / "data")},
        max_resources={},
    )
    await reach(service, waits, "RUNNING")
    assert await total(service, "cuda.device") == "2"
    assert await total(service, "cpu") != "1"
    assert [folder.name for folder in (await service.backends["local"].choices()).folders] == ["data"]
    assert await service.remarks() == []
    assert contact().identity == identity
    assert await says(service, row, "print(6 * 7)") == "42"


async def test_a_mistake_changes_nothing_and_is_said(service: SessionService, state: Path) -> None:
    configure(state, gpus=["fake-0"])
    await run(service, "goes-on")
    configure(state, max_resources={"mem": "lots"})

    async def said() -> bool:
        return "'lots' is not an amount of memory" in " ".join(await service.remarks())

    await until(said)
    assert "It goes on with what held before." in " ".join(await service.remarks())
    assert await total(service, "cuda.device") == "1"
    with pytest.raises(NotEnough, match="cannot use the configuration"):
        await ask(service, "too-much", resources={"cuda.device": "2"})
    configure(state)


async def test_an_option_for_the_next_manager(service: SessionService, state: Path) -> None:
    """It comes as soon as nobody needs this one, however often it is asked."""
    row, identity = await run(service, "stays"), contact().identity
    configure(state, cgroups=False)

    async def said() -> bool:
        return "does not follow cgroups yet" in " ".join(await service.remarks())

    await until(said)
    assert await says(service, row, "print(6 * 7)") == "42"
    assert contact().identity == identity
    await service.destroy("local", row.id, forced=True)
    await ended(service, row)
    await _until_gone(service, lambda: not identity.alive())
    row = await run(service, "next-one")
    assert (row.limits or {})["mem"] == "watchdog"
    assert await service.remarks() == []


async def _until_gone(service: SessionService, gone: object) -> None:
    """Ask all the time, which must not keep the manager."""
    deadline = time.monotonic() + 60
    assert callable(gone)
    while not gone():
        assert time.monotonic() < deadline
        await service.list(status="all")
        await asyncio.sleep(0.1)


async def test_an_option_that_the_manager_does_not_know(
    service: SessionService, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade: the manager is older than whoever asks."""
    await run(service, "of-before")
    configure(state, from_the_future=1)
    monkeypatch.setattr(
        "jupyter_sessions.backends.local_manager.OF_MANAGER", (*config.OF_MANAGER, "from_the_future")
    )
    assert "does not follow from_the_future yet" in " ".join(await service.remarks())
    with pytest.raises(NotEnough, match="does not follow from_the_future yet: the next one does"):
        await ask(service, "too-much", resources={"cpu": "1000"})
    with pytest.raises(InvalidRequest, match="does not follow from_the_future yet"):
        await ask(service, "mounts", mounts=["nowhere"])
    configure(state)


async def test_config_says_so(service: SessionService, state: Path) -> None:
    await run(service, "stays")
    configure(state, cgroups=False)

    async def said() -> str:
        command = [sys.executable, "-m", "jupyter_sessions.cli", "config"]
        shown = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
        return shown.stderr + shown.stdout

    async def late() -> bool:
        return "does not follow cgroups yet" in await said()

    await until(late)


async def test_an_idle_manager_makes_way_for_new_code(
    service: SessionService, state: Path, tmp_path: Path
) -> None:
    package = tmp_path / "site" / "jupyter_sessions"
    source = Path(jupyter_sessions.__file__).parent
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("labextension", "__pycache__"))
    started = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", START],
        env=os.environ | {"PYTHONPATH": str(package.parent)},
        cwd="/",
        check=True,
        capture_output=True,
    )
    identity = contact().identity
    assert int(started.stdout) == identity.pid
    row = await run(service, "keeps-it")
    os.utime(package / "model.py")

    async def said() -> bool:
        return "is of an earlier installation" in " ".join(await service.remarks())

    await until(said)
    assert contact().identity == identity
    await service.destroy("local", row.id, forced=True)
    await ended(service, row)
    await _until_gone(service, lambda: not identity.alive())
    assert await says(service, await run(service, "next-one"), "print(6 * 7)") == "42"
    assert await service.remarks() == []


async def test_no_manager_has_nothing_to_say(service: SessionService) -> None:
    assert await service.remarks() == []
    assert local.find() is None
    assert await Local("local").manager_state() is None
