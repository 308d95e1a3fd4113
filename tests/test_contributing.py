"""The backend of CONTRIBUTING.md, run as the page has it."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path

import pytest
from traitlets.config import Config

from jupyter_sessions.commands import Table, Text, parse, perform
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import AlreadyExists, NotSupported
from jupyter_sessions.model import SessionSpec
from jupyter_sessions.service import SessionService

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
LISTING = re.compile(r"```\w+\n# (?P<file>[\w.]+)\n(?P<text>.*?)```", re.DOTALL)


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionService:
    """The page's backend, installed and configured as the page says."""
    listings = {found["file"]: found["text"] for found in LISTING.finditer(PAGE.read_text())}
    (tmp_path / "lab_sessions.py").write_text(listings["lab_sessions.py"])
    project = tomllib.loads(listings["pyproject.toml"])["project"]
    installed = tmp_path / "lab_sessions-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    ((group, points),) = project["entry-points"].items()
    lines = [f"{name} = {value}" for name, value in points.items()]
    (installed / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]))
    monkeypatch.syspath_prepend(tmp_path)
    c = Config()
    exec(listings["jupyter_sessions_config.py"], {"c": c})
    return SessionService(JupyterSessions(config=c, enabled_backends=["lab"], default_backend="lab"))


@pytest.mark.asyncio
async def test_the_backend_of_the_page(lab: SessionService) -> None:
    async def typed(line: str) -> object:
        return await perform(lab, parse(line), lambda said: None)

    (described,) = await lab.describe()
    assert (described.title, described.capabilities, described.health.ok) == ("The lab", ["logs"], True)
    await typed('create --backend lab --startup-command "echo hello; sleep 1d" --name demo')
    await typed('create --startup-command "exit 3" --name brief')
    brief = await lab.find("brief")
    rows = [row async for row in lab.wait("lab", brief.id, lambda row: not row.live)]
    while "hello" not in (text := await typed("logs demo")).text(80):  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)
    assert isinstance(text, Text) and (rows[-1].status, rows[-1].exit_code) == ("TERMINATED", 3)
    again = await lab.create(SessionSpec(name="demo"))
    assert again.reused and again.id == (await lab.find("demo")).id
    with pytest.raises(AlreadyExists, match="already"):
        await lab.create(SessionSpec(name="demo", reuse_if_exists=False))
    with pytest.raises(NotSupported, match="cannot restart"):
        await typed("restart demo")
    listed = await typed("ps")
    assert isinstance(listed, Table) and [cells[0] for cells in listed.rows] == ["demo"]
    await typed("rm demo")
    assert [(row.name, row.status) for row in (await lab.list(status="dead")).sessions] == [
        ("demo", "TERMINATED"),
        ("brief", "TERMINATED"),
    ]
    await lab.close()
