"""Notebooks through a gateway get the end of each cell, whatever becomes of the connection and the kernel."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelClient

from jupyter_sessions.channels.kernel_endpoints import KernelEndpoint
from jupyter_sessions.channels.kernel_gateway import KernelGateway
from jupyter_sessions.channels.relay_addresses import CHANNELS
from tests.remote_kernels import JupyterServer, jupyter_server, plain_kernel

pytestmark = pytest.mark.asyncio
KEY = "key-of-the-gateway"
SLOW = "import time; print('begun', flush=True); time.sleep(60)"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Sockets need short paths."""
    made = Path(tempfile.mkdtemp(prefix="gateway"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[JupyterServer]:
    with jupyter_server(tmp_path) as made:
        yield made


@asynccontextmanager
async def front(
    endpoint: KernelEndpoint, folder: Path, gone: list[str] | None = None
) -> AsyncIterator[AsyncKernelClient]:
    """A front end at a gateway."""
    gateway = KernelGateway(
        endpoint, f"{folder}/k", KEY, (gone or []).append, saved=folder / "saved.json", identity="me"
    )
    gateway.listen()
    client = AsyncKernelClient()
    ports = {f"{channel}_port": number for channel, number in CHANNELS.items()}
    client.load_connection_info({"transport": "ipc", "ip": f"{folder}/k", "key": KEY.encode(), **ports})
    client.start_channels()
    await gateway.open()
    try:
        await client.wait_for_ready(60)
        yield client
    finally:
        client.stop_channels()
        await gateway.disconnect()


async def ended(client: AsyncKernelClient, uid: str) -> tuple[dict[str, Any], str]:
    """The reply to a cell that has also gone idle, and what it printed."""
    text = ""
    async with asyncio.timeout(60):
        while True:
            message = await client.get_iopub_msg()
            if message["parent_header"].get("msg_id") == uid:
                text += message["content"].get("text", "")
                if message["content"].get("execution_state") == "idle":
                    break
        while (reply := await client.get_shell_msg())["parent_header"]["msg_id"] != uid:
            pass
    return reply["content"], text


async def begun(client: AsyncKernelClient) -> None:
    async with asyncio.timeout(60):
        while (await client.get_iopub_msg())["content"].get("text") != "begun\n":
            pass


async def test_a_server_that_is_killed_and_started_again(server: JupyterServer, folder: Path) -> None:
    async with front(server.endpoint, folder) as client:
        assert (await ended(client, client.execute("print(1)")))[1] == "1\n"
        uid = client.execute(SLOW)
        await begun(client)
        server.end(signal.SIGKILL)
        server.start()
        reply, _ = await ended(client, uid)
        assert (reply["status"], reply["ename"]) == ("error", "KernelRestarted")
        assert (await ended(client, client.execute("print(2)")))[1] == "2\n"


async def test_a_kernel_that_is_followed_by_another(tmp_path: Path, folder: Path) -> None:
    with plain_kernel(tmp_path) as kernel:
        async with front(kernel.endpoint, folder) as client:
            uid = client.execute(SLOW)
            await begun(client)
            kernel.end()
            kernel.process.kill()
            kernel.process.wait()
            kernel.start()
            reply, _ = await ended(client, uid)
            assert reply["ename"] in ("ReplyLost", "KernelRestarted")
            assert (await ended(client, client.execute("print(2)")))[1] == "2\n"


async def test_a_message_that_the_server_would_refuse_is_an_error_of_that_cell(
    server: JupyterServer, folder: Path
) -> None:
    async with front(server.endpoint, folder) as client:
        reply, _ = await ended(client, client.execute(f"x = '{'x' * 11_000_000}'"))
        assert "more than a Jupyter server takes" in reply["evalue"]
        uid = client.execute(SLOW)
        await begun(client)
        client.control_channel.send(client.session.msg("interrupt_request", {}))
        assert (await client.get_control_msg(timeout=20))["content"] == {"status": "ok"}
        assert (await ended(client, uid))[0]["ename"] == "KeyboardInterrupt"
        assert (await ended(client, client.execute("print(2)")))[1] == "2\n"
