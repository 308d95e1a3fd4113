"""There is one manager, it is there when it is needed, and gone when it is not."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.local import Local
from jupyter_sessions.errors import BackendUnavailable
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import Contact, place
from tests.manager.world import (
    Rest,
    ask,
    configure,
    contact,
    ended,
    kill_manager,
    managers,
    reach,
    run,
    says,
    until,
)

pytestmark = pytest.mark.asyncio

STARTERS = 8
RACE = (
    "import sys\n"
    "from jupyter_sessions.backends import local\n"
    "print('ready', flush=True); sys.stdin.readline()\n"
    "print(local.start().identity.pid)"
)


async def test_a_race_of_starters(state: Path) -> None:
    command = [sys.executable, "-c", RACE]
    starters = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(STARTERS)
    ]
    for starter in starters:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("\n")
        starter.stdin.flush()
    said = {starter.communicate(timeout=60)[0] for starter in starters}
    assert said == {f"{contact().identity.pid}\n"}
    assert managers(state) == [contact().identity.pid]


async def test_managers_that_race_without_their_starters(state: Path) -> None:
    """A starter that is killed lets the next one begin, while the first manager still comes up."""
    command = [sys.executable, "-m", "jupyter_sessions.manager"]
    running = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(4)]
    await until(local.find)
    await until(lambda: sum(one.poll() == 0 for one in running) == 3)
    assert managers(state) == [contact().identity.pid]
    running[[one.poll() for one in running].index(None)].terminate()
    assert [one.wait(20) for one in running] == [0, 0, 0, 0]


async def test_a_starter_that_is_killed(state: Path) -> None:
    """Its manager comes up all the same, or the next one does."""
    with subprocess.Popen(
        [sys.executable, "-c", RACE], stdin=subprocess.PIPE, start_new_session=True
    ) as starter:
        assert starter.stdin is not None
        starter.stdin.write(b"\n")
        starter.stdin.flush()
        await until(lambda: managers(state))
        starter.kill()
    found = await asyncio.to_thread(local.start)
    await until(lambda: managers(state) == [found.identity.pid])


async def test_it_ends_when_nobody_needs_it_and_comes_again(state: Path, service: SessionService) -> None:
    configure(state, manager_timeout=0.3)
    row = await run(service, "keeps-it")
    first = contact()
    keypair = first.keypair
    await asyncio.sleep(0.7)
    assert local.find() == first, "it ended although a session lives"
    await service.destroy("local", row.id)
    await until(lambda: not first.identity.alive())
    assert not place().contact_file.exists()
    assert not place().live_file.exists()
    assert not Path(first.socket).parent.exists()
    assert (await service.list()).sessions == []
    assert local.find() is None, "a list started a manager that has nothing to look after"
    again = await run(service, "comes-again")
    assert await says(service, again, "print(6 * 7)") == "42"
    assert contact().keypair == keypair
    assert (await service.get("local", row.id)).status == "TERMINATED"


async def test_one_that_failed_does_not_keep_it(state: Path, service: SessionService) -> None:
    """An ERROR row waits for a person, not for a manager; it is there whenever one looks."""
    configure(state, manager_timeout=0.3)
    row = await reach(service, await ask(service, "fails", image="/bin/false"), "ERROR")
    identity = contact().identity
    await until(lambda: not identity.alive())
    assert [(one.id, one.status) for one in (await service.list()).sessions] == [(row.id, "ERROR")]
    await service.destroy("local", row.id)
    await ended(service, row)


async def test_used_while_it_ends(state: Path) -> None:
    """Again and again at the moment at which it ends: every request is answered."""
    configure(state, manager_timeout=0.05)
    for pause in (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4):
        backend = Local("local")
        assert (await backend.capacity())["cpu"].total
        await asyncio.sleep(pause)
        assert await backend.list(Query(status="all")) == []
        await backend.close()
    assert (state / "manager.log").read_text().count("listens on") > 1, "it never ended"


async def test_started_while_another_one_ends(state: Path, service: SessionService) -> None:
    """It takes its time, as somebody still waits for an answer."""
    configure(state, max_resources={"cpu": 2})
    row = await run(service, "lives-on")
    identity = contact().identity
    async with Rest() as rest:
        body = {"name": "waits", "image": "python", "config": {"resources": {"cpu": "2"}}}
        waits = asyncio.create_task(rest.send("POST", "/session", body))
        await until(lambda: _is_listed(service, "waits"))
        os.kill(identity.pid, signal.SIGTERM)
        await until(lambda: not place().contact_file.exists())
        found = await asyncio.to_thread(local.start)
        await asyncio.gather(waits, return_exceptions=True)
    assert found.identity != identity
    assert (await service.get("local", row.id)).status == "RUNNING"


async def _is_listed(service: SessionService, name: str) -> bool:
    return any(row.name == name for row in (await service.list()).sessions)


async def test_a_stale_contact_is_not_believed(state: Path, service: SessionService) -> None:
    """The pid lives, and is somebody else by now."""
    await asyncio.to_thread(local.start)
    stale = place().contact_file.read_bytes()
    await kill_manager()
    me = re.sub(rb'"pid":\d+', b'"pid":%d' % os.getpid(), stale)
    place().contact_file.write_bytes(me)
    assert local.find() is None
    row = await run(service, "anew")
    assert row.status == "RUNNING"
    assert contact().identity.pid != os.getpid()


async def test_of_another_protocol(state: Path) -> None:
    found = await asyncio.to_thread(local.start)
    other = Contact(
        identity=found.identity,
        socket=found.socket,
        url=found.url,
        keypair=found.keypair,
        version="99.0",
        protocol=99,
    )
    place().write_contact(other)
    with pytest.raises(BackendUnavailable, match=r"is of version 99\.0\..*can only list.*Upgrade"):
        await Local("local").capacity()
    place().write_contact(found)


async def test_why_it_did_not_start_is_said(state: Path) -> None:
    with sqlite3.connect(state / "sessions.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(BackendUnavailable) as caught:
        await asyncio.to_thread(local.start)
    assert "did not start" in caught.value.message
    assert "was written by a newer version of jupyter_sessions (schema 99)" in caught.value.message
    assert str(state / "manager.log") in caught.value.hint
    assert managers(state) == []
    (state / "sessions.db").unlink()


async def test_a_configuration_with_a_mistake(state: Path) -> None:
    configure(state, max_resources={"mem": "lots"})
    with pytest.raises(
        BackendUnavailable, match=r"max_resources cannot be used: 'lots' is not an amount of memory"
    ):
        await asyncio.to_thread(local.start)
    configure(state)


async def test_nobody_else_may_read_its_files(service: SessionService, state: Path) -> None:
    row = await run(service, "private")
    await says(service, row, "print('secret')")
    found = contact()
    assert Path(found.socket).parent.resolve() == state / "sockets"
    paths = [state, *state.rglob("*")]
    assert len(paths) > 12
    for path in paths:
        mode = path.lstat().st_mode
        if stat.S_ISSOCK(mode) or stat.S_ISLNK(mode):
            continue  # In a folder that nobody else can enter; what a link leads to is looked at by itself.
        wanted = 0o700 if stat.S_ISDIR(mode) else 0o600
        assert stat.S_IMODE(mode) == wanted, f"{path}: {stat.filemode(mode)}"
    await kill_manager(signal.SIGTERM)
