"""`ps` of a hundred sessions, in a notebook and in a shell, beside the vendor's client at the same manager."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pytest

from jupyter_sessions.backends import local
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService
from tests import processes
from tests.interop.vendor import environment_from
from tests.interop.venvs import newest_backendai

SESSIONS, ROUNDS = 100, 7
MOST_IN_NOTEBOOK, MOST_IN_SHELL = 0.05, 0.25
TIMED = """
import time
from IPython.utils.capture import capture_output
_began = time.perf_counter()
with capture_output() as _shown:
    display(get_ipython().run_line_magic("session", "ps --limit 0"))
print(time.perf_counter() - _began, str(_shown.outputs[0].data["text/html"]).count("<tr>"))
"""


@pytest.fixture
def hundred(state: Path) -> Iterator[None]:
    """Sessions that wait for tomorrow."""
    asyncio.run(_fill())
    yield


async def _fill() -> None:
    service = SessionService(JupyterSessions())
    await asyncio.to_thread(local.start)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for number in range(SESSIONS):
        spec = SessionSpec(name=f"many-{number:03}", image="python", resources={"cpu": "1", "mem": "512m"})
        spec.starts_at = tomorrow
        await service.create(spec)
    await service.close()


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytecode is written, as pip has done where people work."""
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)


def seconds(command: list[str], env: dict[str, str] | None = None) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    taken = time.perf_counter() - began
    assert "many-099" in done.stdout
    return taken


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("hundred")
def test_beside_the_vendors(report: Callable[[str], None], state: Path, tmp_path: Path) -> None:
    ours = [str(Path(sys.executable).with_name("jupyter")), "session", "ps", "--limit", "0"]
    theirs = [newest_backendai().program("backend.ai"), "ps"]
    env = environment_from(" ".join([*ours[:2], "env"]), tmp_path, lambda name: name.startswith("BACKEND_"))
    taken: dict[str, list[float]] = {"notebook": [], "shell": [], "backend.ai": []}
    with processes.server(state, tmp_path) as made, made.shell() as shell:
        shell.run("%load_ext jupyter_sessions")
        for _ in range(ROUNDS):
            ran = shell.run(TIMED)
            in_notebook, rows = ran.text.split()[-2:]
            assert int(rows) == SESSIONS + 1, ran.error
            taken["notebook"].append(float(in_notebook))
            taken["shell"].append(seconds(ours))
            taken["backend.ai"].append(seconds(theirs, env))
    notebook, shell_, vendor = (median(times) for times in taken.values())
    report(
        f"ps of {SESSIONS} sessions: notebook {1000 * notebook:.0f} ms, shell {1000 * shell_:.0f} ms, "
        f"backend.ai {1000 * vendor:.0f} ms: {notebook / vendor:.3f}x and {shell_ / vendor:.2f}x"
    )
    assert notebook / vendor <= MOST_IN_NOTEBOOK
    assert shell_ / vendor <= MOST_IN_SHELL
