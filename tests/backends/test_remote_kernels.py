"""Cells and notebooks on remote sessions, by the Jupyter server that each has: our own manager's faces as remote ones."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyter_sessions.backends import local
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.kernels import session_kernels, specs
from jupyter_sessions.model import USABLE, SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from tests.kernels.script import client, play, text
from tests.waiting import until

pytestmark = pytest.mark.asyncio
PYTHON = f"local/jupyter/python:{sys.version_info[0]}.{sys.version_info[1]}"
SIZE = {"cpu": "1", "mem": "700m"}


def settings(kind: str) -> dict[str, Any]:
    """What a person configures for a face of this machine's manager."""
    contact = local.find() or local.start()
    given: dict[str, Any] = {"type": "skaha", "url": f"{contact.url}/skaha", "token": contact.bearer()}
    if kind == "backendai":
        keys = {"access_key": contact.keypair.access_key, "secret_key": contact.keypair.secret_key}
        given = {"type": "backendai", "endpoint": contact.url, **keys}
    return {"backends": {"far": given}, "enabled_backends": ["far"], "default_backend": "far"}


@pytest_asyncio.fixture(params=["skaha"])
async def far(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[SessionService]:
    """The remote backend in this process, and by its configuration in that of kernels."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name))
    given = settings(request.param)
    file = Path(os.environ["JUPYTER_CONFIG_DIR"]) / "jupyter_sessions_config.json"
    file.write_text(json.dumps({"JupyterSessions": given}))
    file.chmod(0o600)
    session_kernels.current().close()
    service = SessionService(JupyterSessions(**given))
    yield service
    session_kernels.current().close()
    await service.close()


async def running(service: SessionService) -> SessionInfo:
    row = await service.create(SessionSpec(name="demo", image=PYTHON, resources=SIZE))

    async def now() -> SessionInfo | None:
        found = await service.get("far", row.id)
        return found if found.status in USABLE else None

    found: SessionInfo = await until(now, 60)
    return found


async def test_the_scripted_notebook_shares_its_kernel_with_cells(far: SessionService) -> None:
    (described,) = await far.describe()
    assert {"execute", "complete", "connection", "restart"} <= set(described.capabilities)
    row = await running(far)
    async with asyncio.timeout(60):
        said = [output async for output in far.execute("far", row.id, "y = 6 * 7\nprint(y)")]
    assert [output.content["text"] for output in said if output.kind == "stream"] == ["42\n"]
    specs.add(specs.Kernel(name="attached", display_name="Attached", session=f"far/{row.id}"))
    notebook = client("attached")
    async with notebook.async_setup_kernel():
        assert await text(notebook, "print(y)") == "42\n"
        await play(notebook)
    assert (await far.get("far", row.id)).live
    await far.destroy("far", row.id)
