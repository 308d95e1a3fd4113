"""A session gets what it asked for, and not more: with control groups, and without."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.manager.world import ended, kill_manager, nothing_left, run, says

pytestmark = pytest.mark.asyncio

HALF_GIB = {"cpu": "0.5", "mem": "512m"}
FILL = "data = b'x' * (2 << 30)"
FILL_BELOW = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {FILL!r}])"
FORKS = """
import os, signal, time
made = []
try:
    while len(made) < 1000:
        pid = os.fork()
        if not pid:
            time.sleep(60)
            os._exit(0)
        made.append(pid)
    time.sleep(60)
except OSError:
    for pid in made:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    raise
"""
BUSY = """
import subprocess, sys, time
spin = "import time; end = time.monotonic() + 60\\nwhile time.monotonic() < end: pass"
busy = [subprocess.Popen([sys.executable, "-c", spin]) for _ in range(4)]
"""


@pytest.fixture(params=["cgroups", "watchdog"])
def means(request: pytest.FixtureRequest, state: Path) -> str:
    """By what the manager is to limit sessions, as configured, perhaps with further settings."""
    name, more = request.param if isinstance(request.param, tuple) else (request.param, {})
    config = {"JupyterSessions": {"cgroups": name == "cgroups"} | more}
    (state.parent / "config" / "jupyter_sessions_config.json").write_text(json.dumps(config))
    return str(name)


async def fill(service: SessionService, row: SessionInfo, code: str) -> str:
    """Run code; what went wrong with it."""
    outputs = [output async for output in service.execute("local", row.id, code)]
    return str(outputs[-1].content.get("evalue", ""))


async def test_over_its_memory_it_is_ended_and_nobody_else(means: str, service: SessionService) -> None:
    one, below, sibling = await asyncio.gather(
        run(service, "kernel-fills", resources=HALF_GIB),
        run(service, "child-fills", resources=HALF_GIB),
        run(service, "sibling"),
    )
    assert await says(service, sibling, "x = 41; print(x)") == "41"
    said, _ = await asyncio.gather(fill(service, one, FILL), fill(service, below, FILL_BELOW))
    why = "out of memory: it used more than its 512 MiB; ask for more memory next time"
    assert said == f"The session has ended: {why}."
    for row in (one, below):
        row = await ended(service, row)
        assert row.status_info == why
        await nothing_left(row)
    assert await says(service, sibling, "print(x + 1)") == "42"
    assert means == "cgroups" or row.limits == {
        "cpu": "CPU affinity",
        "mem": "watchdog",
        "pids": "4,096 (watchdog)",
    }


@pytest.mark.parametrize("means", [("cgroups", {"pids": 120}), ("watchdog", {"pids": 120})], indirect=True)
async def test_a_session_that_starts_processes_without_end(means: str, service: SessionService) -> None:
    """It hits its own limit, by which the kernel refuses one more or the session ends; others work on."""
    one, sibling = await asyncio.gather(
        run(service, "forks", resources=HALF_GIB), run(service, "sibling", resources=HALF_GIB)
    )
    assert (one.limits or {})["pids"].startswith("120 (")
    said = await fill(service, one, FORKS)
    if means == "cgroups":
        assert said == "[Errno 11] Resource temporarily unavailable"
        assert 50 < int(await says(service, one, "print(len(made))")) < 120
    else:
        why = "too many processes: it had more than its 120 processes and threads; start fewer at a time"
        assert said == f"The session has ended: {why}."
        assert (await ended(service, one)).status_info == why
        await nothing_left(one)
    assert await says(service, sibling, "import subprocess; print(subprocess.call('true'))") == "0"


async def test_one_cpu_is_one_cpu(means: str, service: SessionService) -> None:
    """Also after a restart and a crash of the manager, and what was used before is not forgotten."""
    row = await run(service, "one-cpu", resources={"cpu": "1", "mem": "512m"})
    await says(service, row, BUSY)
    used, wall = await measure(service, row, 2.0)
    assert used / wall < 1.4
    assert used / wall > 0.2, "the machine is too busy to tell"
    row = await service.restart("local", row.id)
    before = row.cpu_credit_used or 0
    assert before > 500
    await kill_manager()
    row = await service.get("local", row.id)
    assert (row.cpu_credit_used or 0) >= before
    await says(service, row, BUSY)
    used, wall = await measure(service, row, 2.0)
    assert 100 < 1000 * used < 1400 * wall, f"{means}: what was used before the restart hides it"


async def measure(service: SessionService, row: SessionInfo, seconds: float) -> tuple[float, float]:
    """CPU seconds used, and wall seconds meanwhile."""
    first = (await service.get("local", row.id)).cpu_credit_used or 0
    began = time.monotonic()
    await asyncio.sleep(seconds)
    last = (await service.get("local", row.id)).cpu_credit_used or 0
    return (last - first) / 1000, time.monotonic() - began
