"""The environment that started the manager, or that a session came from, is deleted: others do not feel it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import jupyter_sessions
from jupyter_sessions.backends import local
from jupyter_sessions.errors import LaunchFailed
from jupyter_sessions.service import SessionService
from tests.manager.world import contact, kill_manager, run, says

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(240)]
START = "from jupyter_sessions.backends import local; print(local.start().identity.pid)"


@pytest.fixture
def doomed(tmp_path: Path) -> Path:
    """A virtual environment like ours, with a copy of this package and of all that it needs."""
    folder = tmp_path / "doomed"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    shutil.copytree(sysconfig.get_path("purelib"), site, copy_function=_link, dirs_exist_ok=True)
    for editable in site.glob("_editable_impl_*.pth"):
        editable.unlink()
    shutil.rmtree(site / "jupyter_sessions", ignore_errors=True)
    package = Path(jupyter_sessions.__file__).parent
    shutil.copytree(package, site / "jupyter_sessions", ignore=shutil.ignore_patterns("labextension"))
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


async def test_sessions_do_not_depend_on_who_started_the_manager(
    service: SessionService, state: Path, doomed: Path
) -> None:
    python = str(doomed / "bin" / "python")
    environ = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    said = await asyncio.to_thread(
        subprocess.run,
        [python, "-c", START],
        env=environ,
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(said.stdout) == contact().identity.pid
    assert str(doomed) in Path(f"/proc/{contact().identity.pid}/cmdline").read_text()
    mine, theirs = await asyncio.gather(run(service, "mine-is"), run(service, "theirs", image=python))
    for row in (mine, theirs):
        await says(service, row, "kept = 41")
    shutil.rmtree(doomed)

    after = await run(service, "after")
    assert await says(service, after, "print(6 * 7)") == "42"
    await service.restart("local", mine.id)
    assert await says(service, mine, "print('kept' in globals())") == "False"
    with pytest.raises(LaunchFailed, match=f"'theirs' keeps running.* {python} no longer exists") as refused:
        await service.restart("local", theirs.id)
    assert "create another" in refused.value.hint
    assert (await service.get("local", theirs.id)).status == "RUNNING"
    assert await says(service, theirs, "print(kept + 1)") == "42"
    assert (await service.list(status="all")).errors == {}
    assert await service.logs("local", mine.id) is not None

    await kill_manager()
    assert await says(service, theirs, "print(kept + 1)") == "42"
    assert str(doomed) not in Path(f"/proc/{contact().identity.pid}/cmdline").read_text()
    assert local.find() == contact()


async def test_a_restart_whose_module_is_gone_is_refused(
    service: SessionService, state: Path, doomed: Path
) -> None:
    """The interpreter is there, but made again without what the kernel is."""
    python = doomed / "bin" / "python"
    row = await run(service, "half-gone", image=str(python))
    await says(service, row, "kept = 41")
    for part in doomed.glob("lib/*/site-packages/ipykernel*"):
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    with pytest.raises(LaunchFailed, match="has no module ipykernel_launcher any more"):
        await service.restart("local", row.id)
    assert await says(service, row, "print(kept + 1)") == "42"
