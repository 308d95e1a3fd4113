"""Another version of the package is installed while the manager of an earlier one looks after sessions."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_sessions._version import __version__
from jupyter_sessions.backends.local import Local
from jupyter_sessions.commands import parse, perform
from jupyter_sessions.errors import BackendUnavailable, NotSupported
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import PROTOCOL
from tests.faults.test_environment_gone import START
from tests.faults.test_environment_gone import doomed as doomed
from tests.faults.test_takeover import GO, Heard, noted
from tests.kernels.clients import connect, shell
from tests.manager.world import SMALL, Rest, ask, configure, contact, ended, run, says, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]
CREATE = ("create", sys.executable, "--cpu", "0.5", "--mem", "256m", "--name")
POISON = 'raise RuntimeError("code of another version runs in a manager")\n'


@pytest.fixture
def earlier(doomed: Path) -> Path:
    """An environment with an earlier version of the package."""
    (package(doomed) / "_version.py").write_text('__version__ = "0.0.9"\n')
    return doomed


def package(environment: Path) -> Path:
    """The folder of the package in an environment."""
    (folder,) = environment.glob("lib/*/site-packages/jupyter_sessions")
    return folder


async def start_manager(environment: Path) -> None:
    """Start the manager with the Python of an environment."""
    environ = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    command = [environment / "bin" / "python", "-c", START]
    said = await asyncio.to_thread(
        subprocess.run, command, env=environ, cwd="/", capture_output=True, text=True, check=True
    )
    assert int(said.stdout) == contact().identity.pid


async def test_a_manager_runs_no_code_of_another_version(
    service: SessionService, state: Path, doomed: Path
) -> None:
    """All that it starts is as it was when it started; not a single file is read of what is there by then."""
    await start_manager(doomed)
    for path in package(doomed).rglob("*"):
        if path.is_file():
            path.write_text(POISON)

    row = await run(service, "after")
    assert await says(service, row, "print(6 * 7)") == "42"
    await service.restart("local", row.id)
    assert await says(service, row, "print(6 * 7)") == "42"
    batch = await ask(service, "batch", type="batch", startup_command="echo done")
    assert (await ended(service, batch)).result == "SUCCESS"
    await run(service, "members", cluster_size=2)
    async with Rest() as rest:
        wanted = {"name": "vendors", "image": "python", "config": {"resources": SMALL}}
        made = await rest.send("POST", "/session", wanted)
        assert made.status_code == 201, made.text
        answer = await rest.send(
            "POST", "/session/after", {"mode": "query", "code": "print(1)", "runId": "a"}
        )
        assert answer.status_code == 200, answer.text
        async with rest.socket("/stream/session/after/pty") as terminal:
            assert (await terminal.receive_json(timeout=30))["type"] == "out"
    assert await service.logs("local", batch.id) == "done\n"
    assert "Traceback" not in (state / "manager.log").read_text()


async def test_programs_that_somebody_tidied_away(service: SessionService, state: Path) -> None:
    """They are made again as they were."""
    await run(service, "first")
    (folder,) = state.glob("programs-*")
    for program in folder.iterdir():
        program.unlink()
    row = await run(service, "second")
    assert await says(service, row, "print(6 * 7)") == "42"


async def test_what_cannot_be_copied_is_named(service: SessionService, state: Path, doomed: Path) -> None:
    """The vendors' clients have the manager look names up, of which its own environment had one."""
    await start_manager(doomed)
    shutil.rmtree(doomed)
    async with Rest() as rest:
        refused = await rest.send("POST", "/session", {"name": "vendors", "image": "python:3.11"})
    assert refused.status_code == 400
    assert f"The environment of this session manager, {doomed}, has been removed: " in refused.text
    await run(service, "mine-is")


def speak(environment: Path, protocol: int) -> None:
    """Have the package in an environment speak another protocol."""
    places = package(environment) / "wire" / "places.py"
    text = places.read_text()
    assert "\nPROTOCOL = 1\n" in text
    places.write_text(text.replace("\nPROTOCOL = 1\n", f"\nPROTOCOL = {protocol}\n"))


async def busy(service: SessionService, environment: Path, code: str) -> SessionInfo:
    """A session, made by the version in an environment, in which code runs that has said that it began.

    Who asks before it runs takes over at once: nothing would be lost.
    """
    made = await asyncio.to_thread(session_of, environment, *CREATE, "kept")
    assert made.returncode == 0, made.stderr
    async with Rest() as rest:
        await rest.send("POST", "/session/kept", {"mode": "query", "code": code, "runId": "first"})
        row = await service.find("kept")
        await noted(service, row)
    return row


async def in_the_way() -> list[str]:
    """Why the manager had better not be replaced now, in its own words."""
    async with Rest() as rest:
        return list((await rest.send("GET", "/jupyter-sessions/manager")).json()["in_the_way"])


async def test_takes_over_by_itself_once_nothing_is_lost(
    service: SessionService, state: Path, earlier: Path, tmp_path: Path
) -> None:
    await start_manager(earlier)
    identity, go = contact().identity, tmp_path / "go"
    row = await busy(service, earlier, "kept = 41\n" + GO.format(str(go)))
    assert await in_the_way() == ["'kept' runs code"]
    await Local("local").capacity()
    assert contact().identity == identity
    notice = str((await service.list()).notices["local"])
    assert "is still of version 0.0.9" in notice and "takes over by itself" in notice
    assert "Upgrade" not in notice
    go.touch()
    await until(nothing_in_the_way)
    await Local("local").capacity()
    assert contact().version == __version__
    assert not identity.alive()
    assert await says(service, row, "print(kept + 1)") == "42"
    assert (await service.list()).notices == {}
    assert await service.remarks() == []


async def nothing_in_the_way() -> bool:
    """Whether the manager may be replaced."""
    return await in_the_way() == []


async def test_what_is_in_the_way(service: SessionService, state: Path) -> None:
    """A manager says what would be lost; what waits in the queue would not."""
    configure(state, max_sessions=1)
    row = await run(service, "terminal")
    await ask(service, "queued")
    await until(nothing_in_the_way)  # Its kernel may just have answered its first question.
    async with Rest() as rest:
        async with rest.socket("/stream/session/terminal/pty") as terminal:
            await terminal.receive_json(timeout=30)
            assert "a terminal is open in 'terminal'" in await in_the_way()
        assert "a terminal is open in 'terminal'" in await in_the_way()
        held = asyncio.create_task(
            rest.send("GET", f"/jupyter-sessions/sessions/{row.id}/change?within=10&name=terminal")
        )
        waits = asyncio.create_task(rest.send("POST", "/session", {"name": "behind", "image": "python"}))
        await until(lambda: waits_too())
        await service.destroy("local", row.id, forced=True)
        waits.cancel()
        held.cancel()


async def waits_too() -> bool:
    """Whether somebody waits for an answer of the manager."""
    return "a client waits for an answer" in await in_the_way()


@pytest.mark.parametrize("by_hand", [False, True], ids=["by itself", "by hand"])
async def test_an_upgrade_while_all_is_at_work(
    service: SessionService, state: Path, earlier: Path, tmp_path: Path, by_hand: bool
) -> None:
    """A cell of a notebook and a batch run: both end well, though the earlier environment is removed meanwhile."""
    await start_manager(earlier)
    go, done = tmp_path / "go", tmp_path / "done"
    command = f"while [ ! -e {done} ]; do sleep 0.05; done; echo result; exit 0"
    batch = (*CREATE, "batch", "--type", "batch", "--startup-command", command)
    for words in (batch, (*CREATE, "kept")):
        made = await asyncio.to_thread(session_of, earlier, *words)
        assert made.returncode == 0, made.stderr
    row, identity = await service.find("kept"), contact().identity
    with shell(await connect(service, row)) as front:
        hear = Heard(front)
        first, second = front.client.execute(GO.format(str(go))), front.client.execute("print(6 * 7)")
        await noted(service, row)
        assert contact().identity == identity
        answers = asyncio.create_task(
            asyncio.to_thread(lambda: [hear.reply(uid)["status"] for uid in (first, second)])
        )  # A notebook reads all the time, and only so subscribes again.
        if by_hand:
            await service.take_over("local")
            assert contact().version == __version__
        shutil.rmtree(earlier)
        row = await service.get("local", row.id)
        assert (row.status, row.restarts) == ("RUNNING", 0)
        go.touch()
        assert await answers == ["ok", "ok"]
        assert await run(service, "while-it-runs")
        done.touch()
        assert (await ended(service, await service.find("batch"))).result == "SUCCESS"
        await until(nothing_in_the_way)
        await Local("local").capacity()
        assert contact().version == __version__
        await until(lambda: front.run("print(7 * 6)").text == "42\n")  # It reads again only now.
    assert await service.logs("local", (await service.find("batch")).id) == "result\n"
    assert "42" in await service.logs("local", row.id)
    assert await says(service, await run(service, "afterwards"), "print(6 * 7)") == "42"
    assert not identity.alive()


other = pytest.mark.parametrize(
    ("version", "protocol", "says_so", "remedy"),
    [
        ("0.0.9", 0, "Until version", "takes over now"),
        (
            "99.0",
            2,
            "can only list and end its sessions",
            "Upgrade jupyter_sessions in this environment to version 99.0",
        ),
    ],
    ids=["earlier", "later"],
)


@other
async def test_of_another_protocol(
    service: SessionService, state: Path, doomed: Path, version: str, protocol: int, says_so: str, remedy: str
) -> None:
    """Its sessions are listed and ended, and the words are right on both sides."""
    (package(doomed) / "_version.py").write_text(f'__version__ = "{version}"\n')
    speak(doomed, protocol)
    await start_manager(doomed)
    made = await asyncio.to_thread(session_of, doomed, *CREATE, "theirs")
    assert made.returncode == 0, made.stderr
    await asyncio.to_thread(session_of, doomed, *CREATE, "ends")

    rows = {row.name: row for row in (await service.list()).sessions}
    assert {name: row.status for name, row in rows.items()} == {"theirs": "RUNNING", "ends": "RUNNING"}
    seen = [row.name for row in await anext(service.backends["local"].watch())]
    assert sorted(seen) == ["ends", "theirs"]
    shown = await perform(service, parse("ps"), print)
    assert "theirs" in shown.text() and says_so in shown.warnings[0] and remedy in shown.warnings[0]
    assert ("Upgrade" in shown.warnings[0]) is (protocol > PROTOCOL)
    with pytest.raises(BackendUnavailable, match=says_so):
        await ask(service, "refused")
    assert await service.remarks() == shown.warnings[:1]
    gone = await service.destroy("local", rows["ends"].id, forced=True)
    await ended(service, gone)

    if protocol > PROTOCOL:
        with pytest.raises(NotSupported, match=r"of version 99.0, later than"):
            await service.take_over("local")
        assert contact().version == version
        return
    said: list[str] = []
    await perform(service, parse("backend takeover"), said.append)
    assert said == [f"Version {__version__} manages the sessions of This machine now."]
    assert await says(service, rows["theirs"], "print(6 * 7)") == "42"
    assert (await service.list()).notices == {}
    shown_there = await asyncio.to_thread(session_of, doomed, "ps")
    assert "theirs" in shown_there.stdout
    assert f"Upgrade jupyter_sessions in this environment to version {__version__}" in shown_there.stderr


def session_of(environment: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`jupyter session` of an environment."""
    environ = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    command = [environment / "bin" / "python", "-m", "jupyter_sessions.cli", *words]
    return subprocess.run(
        command, env=environ, cwd="/", capture_output=True, text=True, check=False, timeout=60
    )
