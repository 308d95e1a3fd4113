"""One scripted notebook on every kind of kernel, and what is left when it has been run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from jupyter_sessions.service import Service
from tests.kernels.script import client, play
from tests.manager.world import run, says, until

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("jupyter")]


async def left(service: Service) -> list[str]:
    """Names of live sessions."""
    return [row.name for row in (await service.list()).sessions]


async def nothing(service: Service) -> bool:
    return not await left(service)


async def test_plain() -> None:
    notebook = client("python3")
    async with notebook.async_setup_kernel():
        await play(notebook)


async def test_owned(service: Service) -> None:
    notebook = client("owned")
    async with notebook.async_setup_kernel():
        (row,) = (await service.list()).sessions
        await play(notebook)
        (now,) = (await service.list()).sessions
        assert (now.id, now.restarts) == (row.id, 1)
    await until(lambda: nothing(service))


async def test_attached(service: Service) -> None:
    row = await run(service, "demo", resources={"mem": "400m"})
    notebook = client("attached")
    async with notebook.async_setup_kernel():
        await play(notebook)
        await says(service, row, "print('told by another'); told = 1")
        assert await says(service, row, "print(told)") == "1"
    row = await service.get("local", row.id)
    assert (row.status, row.restarts) == ("RUNNING", 1)
    assert await says(service, row, "print(told)") == "1"


async def test_the_command_itself(service: Service, jupyter: Path, tmp_path: Path) -> None:
    """As front ends start it that ignore provisioners: by the local one, given the kernelspec's argv."""
    file = jupyter / "kernels" / "owned" / "kernel.json"
    spec = json.loads(file.read_bytes())
    del spec["metadata"]["kernel_provisioner"]
    file.write_text(json.dumps(spec))
    notebook = client("owned")
    async with notebook.async_setup_kernel():
        (row,) = (await service.list()).sessions
        await play(notebook)
        (now,) = (await service.list()).sessions
        assert (now.id, now.restarts) == (row.id, 1)
    await until(lambda: nothing(service))


async def test_papermill_leaves_no_session(service: Service, tmp_path: Path) -> None:
    first = nbformat.v4.new_code_cell("a = 1", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[first, nbformat.v4.new_code_cell("print(a * 6)")])
    notebook.metadata["kernelspec"] = {"name": "owned", "display_name": "Owned", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    command = [sys.executable, "-m", "papermill", "-p", "a", "7", "in.ipynb", "out.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs[0]["text"] == "42\n"
    await until(lambda: nothing(service))
