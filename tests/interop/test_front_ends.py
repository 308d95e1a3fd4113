"""The scripted notebook in front ends of others: JupyterLab, Notebook 7, a bare client, nbclient in a kernel, papermill."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelClient
from jupyter_client.connect import write_connection_file
from playwright.sync_api import Page

from jupyter_sessions.kernels import specs
from jupyter_sessions.service import SessionService
from tests.browser import script
from tests.browser.conftest import TOKEN, Lab
from tests.kernels.script import client, nothing, play
from tests.manager.world import run, says, until
from tests.processes import server
from tests.waiting import wait_until

RUN = """
import nbformat
from nbclient import NotebookClient
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import os; print(os.environ['BACKENDAI_SESSION_NAME'])")])
await NotebookClient(notebook, kernel_name="owned").async_execute()
print(notebook.cells[0].outputs[0]["text"])
"""


@pytest.mark.parametrize("front_end", ["lab/tree", "notebooks"])
def test_the_scripted_notebook(lab: Lab, tab: Page, front_end: str) -> None:
    kernel = specs.Kernel(
        name="small", display_name="Small", image="python", resources={"cpu": "1", "mem": "512m"}
    )
    specs.add(kernel)
    script.write(lab.folder / "script.ipynb", kernel.name, kernel.display_name)
    hands = script.Hands(tab)
    hands.open(f"{lab.url}{front_end}/script.ipynb?token={TOKEN}")
    hands.play()


@pytest.mark.asyncio
@pytest.mark.usefixtures("jupyter")
async def test_plain() -> None:
    notebook = client("python3")
    async with notebook.async_setup_kernel():
        await play(notebook)


@pytest.mark.asyncio
@pytest.mark.usefixtures("jupyter")
async def test_attached(service: SessionService) -> None:
    row = await run(service, "demo", resources={"mem": "400m"})
    notebook = client("attached")
    async with notebook.async_setup_kernel():
        await play(notebook)
        await says(service, row, "print('told by another'); told = 1")
        assert await says(service, row, "print(told)") == "1"
    row = await service.get("local", row.id)
    assert (row.status, row.restarts) == ("RUNNING", 1)
    assert await says(service, row, "print(told)") == "1"


class Command:
    """The kernelspec's command as a process, which a bare front end starts, interrupts and starts again."""

    def __init__(self, spec: Path, folder: Path) -> None:
        self.file = folder / "connection.json"
        write_connection_file(str(self.file))
        argv = json.loads(spec.read_bytes())["argv"]
        self._argv = [part.replace("{connection_file}", str(self.file)) for part in argv]
        self.client = AsyncKernelClient()
        self.client.load_connection_file(str(self.file))

    async def start(self) -> None:
        """Start it, and wait until it listens: jupyter_client gives up after a second without a heartbeat."""
        self.process = subprocess.Popen(self._argv)
        await until(self._listens, 60)

    def _listens(self) -> bool:
        assert self.process.poll() is None
        with socket.socket() as heart:
            return heart.connect_ex(("127.0.0.1", self.client.hb_port)) == 0

    async def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    async def interrupt_kernel(self) -> None:
        """As the kernelspec wants it."""
        self.process.send_signal(signal.SIGINT)

    async def restart_kernel(self) -> None:
        """The same command with the same connection file."""
        await self.end(restart=True)
        await self.start()

    async def end(self, *, restart: bool = False) -> None:
        """Ask it to end, and wait."""
        self.client.shutdown(restart=restart)
        await asyncio.to_thread(self.process.wait, 30)


@pytest.mark.asyncio
@pytest.mark.usefixtures("jupyter")
@pytest.mark.parametrize("kind", ["owned", "attached"])
async def test_the_command_itself(service: SessionService, jupyter: Path, tmp_path: Path, kind: str) -> None:
    """As front ends start it that know no provisioners, with a connection file and ports of their own."""
    if kind == "attached":
        await run(service, "demo", resources={"mem": "400m"})
    command = Command(jupyter / "kernels" / kind / "kernel.json", tmp_path)
    await command.start()
    command.client.start_channels()
    try:
        await command.client.wait_for_ready(60)
        notebook = client(kind)
        notebook.km, notebook.kc = command, command.client
        (row,) = (await service.list()).sessions
        await play(notebook)
        (now,) = (await service.list()).sessions
        assert (now.id, now.restarts) == (row.id, 1)
        await command.end()
        if kind == "owned":
            await until(lambda: nothing(service))
        else:
            assert await says(service, row, "print('lives')") == "lives"
    finally:
        command.client.stop_channels()
        command.process.kill()
        command.process.wait()


@pytest.mark.asyncio
@pytest.mark.usefixtures("jupyter")
async def test_papermill_leaves_no_session(service: SessionService, tmp_path: Path) -> None:
    first = nbformat.v4.new_code_cell("a = 1", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[first, nbformat.v4.new_code_cell("print(a * 6)")])
    notebook.metadata["kernelspec"] = {"name": "owned", "display_name": "Owned", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    command = [sys.executable, "-m", "papermill", "-p", "a", "7", "in.ipynb", "out.ipynb"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs[0]["text"] == "42\n"
    await until(lambda: nothing(service))


@pytest.mark.usefixtures("jupyter")
def test_a_notebook_run_by_a_kernel_of_the_server(state: Path, tmp_path: Path) -> None:
    """It goes through the server, which knows the backends."""
    with server(state, tmp_path) as made, made.shell() as shell:
        ran = shell.run(RUN)
        assert ran.text.startswith("kernel-"), ran.error
        wait_until(lambda: not made.ask("GET", "jupyter-sessions/sessions")["sessions"])
