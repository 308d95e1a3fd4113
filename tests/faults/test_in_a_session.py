"""Whoever asks from within a session may find no manager: the one it starts is of the machine, and not of that session."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.errors import NotEnough
from jupyter_sessions.manager.runtime.limits import cgroup
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.places import STATE_VARIABLE
from tests.manager.world import (
    ask,
    configure,
    contact,
    ended,
    kernels,
    kill_manager,
    nothing_left,
    run,
    says,
    until,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]

ASKER = """
import os, pathlib, subprocess, sys
code = '''
import pathlib, time
from jupyter_sessions.backends import local
while not pathlib.Path("go").exists(): time.sleep(0.05)
try:
    said = f"pid {local.start().identity.pid}"
except Exception as error:
    said = f"refused: {error}"
pathlib.Path("said.new").write_text(said)
pathlib.Path("said.new").rename("said")
'''
asker = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ, %s), start_new_session=%s)
"""


async def ask_within(service: SessionService, state: Path, folder: Path, *, apart: bool = False) -> str:
    """Have a manager started from within a session, once there is none; what came of it."""
    row = await run(service, "within", cwd=str(folder))
    extra = ", ".join(f"{name}={text!r}" for name, text in _places(state).items())
    await says(service, row, ASKER % (extra, apart))
    await asyncio.sleep(0.2)
    await kill_manager()
    configure(state, **CONFIGURED)
    (folder / "go").touch()
    await until(lambda: (folder / "said").exists(), 60)
    return (folder / "said").read_text()


CONFIGURED: dict[str, object] = {}


def _places(state: Path) -> dict[str, str]:
    return {STATE_VARIABLE: str(state), "JUPYTER_CONFIG_DIR": os.environ["JUPYTER_CONFIG_DIR"]}


@pytest.mark.parametrize("apart", [False, True], ids=["child", "daemon"])
@pytest.mark.parametrize("cgroups", [True, False], ids=["cgroups", "watchdog"])
async def test_it_is_of_the_machine(
    service: SessionService,
    state: Path,
    tmp_path: Path,
    cgroups: bool,
    apart: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    configure(state, cgroups=cgroups)
    monkeypatch.setitem(CONFIGURED, "cgroups", cgroups)
    there = (await service.backends["local"].capacity())["cpu"].total
    said = await ask_within(service, state, tmp_path, apart=apart)
    assert said == f"pid {contact().identity.pid}"
    assert (await service.backends["local"].capacity())["cpu"].total == there
    groups = Path(f"/proc/{contact().identity.pid}/cgroup").read_text()
    assert cgroup.PREFIX not in groups
    before = contact()
    other = await run(service, "another")
    await says(service, other, "kept = 41")
    row = next(one for one in (await service.list()).sessions if one.name == "within")
    assert await says(service, row, "print(6 * 7)") == "42"
    await service.destroy("local", row.id, forced=True)
    await ended(service, row)
    await until(lambda: not kernels(row))
    await nothing_left(row)
    assert contact() == before, "it ended with the session"
    assert await says(service, other, "print(kept + 1)") == "42"


async def test_one_that_may_not_leave_is_refused(
    service: SessionService, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = await run(service, "fenced")
    if not (row.limits or {}).get("cpu", "").startswith("cgroup"):
        pytest.skip("needs control groups")
    monkeypatch.setitem(CONFIGURED, "cgroups", False)
    said = await ask_within(service, state, tmp_path)
    assert said.startswith(
        "refused: This machine's session manager did not start: This process runs in a session"
    )
    assert "terminal of this machine" in said
    assert local.find() is None
    assert await says(service, row, "print(6 * 7)") == "42", "from outside it may be started"


LIST = """
import asyncio, json, sys
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
async def main():
    service = SessionService(JupyterSessions())
    there = await service.backends["local"].capacity()
    print(there["cpu"].total, there["mem"].total, flush=True)
    try:
        row = await service.create(SessionSpec(name=sys.argv[1], resources={"cpu": sys.argv[2], "mem": "64m"}))
        print(row.status, row.status_info)
    except Exception as error:
        print(type(error).__name__, error)
    await service.close()
asyncio.run(main())
"""


async def test_what_one_asker_may_have_is_not_what_others_may(service: SessionService, state: Path) -> None:
    """The first starts the manager, and lives within the bounds of a hub and on one CPU."""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("needs two CPUs")

    async def asks(name: str, cpu: str, **bounds: str) -> list[str]:
        command = [sys.executable, "-c", LIST, name, cpu]
        pinned = ["taskset", "-c", "0", *command] if bounds.pop("pinned", "") else command
        said = await asyncio.to_thread(
            subprocess.run, pinned, env=os.environ | bounds, capture_output=True, text=True, check=True
        )
        return said.stdout.splitlines()

    hub = {"CPU_LIMIT": "0.5", "MEM_LIMIT": "1G"}
    first = await asks("first-one", "0.3", **hub)
    assert first[0] == "0.5 1g"
    pinned = await asks("pinned", "0.1", pinned="yes")
    assert pinned[0].split()[0] == "1"
    mine = (await service.backends["local"].capacity())["cpu"].total
    assert float(mine) >= 2 > float(first[0].split()[0])
    assert (await run(service, "bigger", resources={"cpu": "0.7"})).status == "RUNNING"
    more = await asks("first-two", "0.3", **hub)
    assert "you may have 0.5" in more[1]
    never = await asks("first-three", "0.6", **hub)
    assert never[1].startswith("NotEnough You asked for 0.6 CPU, but you may have 0.5 CPU.")
    with pytest.raises(NotEnough, match="but this machine has"):
        await ask(service, "too-big", resources={"cpu": "1000"})
