"""Another version of the package is installed while the manager of an earlier one looks after sessions."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from jupyter_sessions.service import SessionService
from tests.faults.test_environment_gone import START
from tests.faults.test_environment_gone import doomed as doomed
from tests.manager.world import SMALL, Rest, ask, contact, ended, run, says

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]
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
    assert f"The environment of this session manager, {doomed}, has been removed." in refused.text
    await run(service, "mine-is")
