"""Cells through both forms of endpoints, with real kernels and a real Jupyter server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec import structs

from jupyter_sessions.channels import websocket_channels, zmq_channels
from jupyter_sessions.channels.endpoint_client import EndpointClient
from jupyter_sessions.channels.kernel_client import Run
from jupyter_sessions.channels.kernel_endpoints import JupyterEndpoint, KernelEndpoint, ZmqEndpoint
from jupyter_sessions.errors import BackendUnavailable, NotSupported, Unauthorized
from tests.ports import free_port
from tests.remote_kernels import JupyterServer, PlainKernel, jupyter_server, plain_kernel

pytestmark = pytest.mark.asyncio
NO_LIMITS = "--ZMQChannelsWebsocketConnection.limit_rate=False"
SLOW = "import time; print('begun', flush=True); time.sleep(60)"


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterServer]:
    with jupyter_server(tmp_path_factory.mktemp("server"), NO_LIMITS) as made:
        yield made


@pytest.fixture
def server(shared_server: JupyterServer, request: pytest.FixtureRequest) -> JupyterServer:
    """A server that all tests share; each has a kernel of its own there."""
    shared_server.endpoint = structs.replace(shared_server.endpoint, path=request.node.name)
    return shared_server


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[PlainKernel]:
    with plain_kernel(tmp_path) as made:
        yield made


@pytest.fixture(params=["zmq", "jupyter"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> KernelEndpoint:
    found: KernelEndpoint = request.getfixturevalue("kernel" if request.param == "zmq" else "server").endpoint
    return found


@pytest_asyncio.fixture
async def client(endpoint: KernelEndpoint) -> AsyncIterator[EndpointClient]:
    async for made in connected(endpoint):
        yield made


async def connected(endpoint: KernelEndpoint) -> AsyncIterator[EndpointClient]:
    made = EndpointClient(endpoint)
    await made.open()
    yield made
    await made.disconnect()


async def told(run: Run, upto: str = "") -> list[tuple[str, dict[str, Any]]]:
    """What a run said, to its end or up to a kind of message."""
    found = []
    async with asyncio.timeout(60):
        while (message := await run.messages.get()) is not None:
            found.append((message["header"]["msg_type"], message["content"]))
            if upto and found[-1][0] == upto:
                break
    return found


def text(said: list[tuple[str, dict[str, Any]]]) -> str:
    return "".join(content["text"] for kind, content in said if kind == "stream")


async def test_cells(client: EndpointClient) -> None:
    run = client.execute("x = 6 * 7\nprint('a')\nx")
    said = await told(run)
    assert text(said) == "a\n" and run.reply and run.reply["status"] == "ok"
    assert [content["data"]["text/plain"] for kind, content in said if kind == "execute_result"] == ["42"]
    failed = client.execute("1/0")
    assert (
        (await told(failed))[-1][0] == "error"
        and failed.reply
        and failed.reply["ename"] == "ZeroDivisionError"
    )
    completed = client.complete("import os; os.getc", 18)
    await completed.replied.wait()
    assert completed.reply and "getcwd" in str(completed.reply["matches"])


async def test_input(client: EndpointClient) -> None:
    run = client.execute("print('hello', input('name? '))", stdin=True)
    assert (await told(run, "input_request"))[-1][1]["prompt"] == "name? "
    client.input(run, "Ada")
    assert "hello Ada" in text(await told(run))


async def test_interrupt(client: EndpointClient) -> None:
    run = client.execute(SLOW)
    await told(run, "stream")
    await client.interrupt()
    await told(run)
    assert run.reply and run.reply["ename"] == "KeyboardInterrupt"


async def test_large_outputs_are_whole(client: EndpointClient) -> None:
    many = client.execute("for i in range(3000): print(i, flush=True)")
    assert text(await told(many)) == "".join(f"{i}\n" for i in range(3000))
    large = client.execute("print('x' * 20_000_000)")
    assert len(text(await told(large))) == 20_000_001


async def test_two_clients_run_one_after_the_other_and_share_variables(client: EndpointClient) -> None:
    first = client.execute("import time; print('begun', flush=True); time.sleep(1); shared = 1")
    await told(first, "stream")
    async for other in connected(client.endpoint):
        second = other.execute("shared")
        said = await told(second)
        assert said and said[-1][1]["data"]["text/plain"] == "1" and await told(first) == []


async def test_a_crash_ends_the_cell(client: EndpointClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq_channels, "CONNECT_SECONDS", 1)
    run = client.execute(
        "import os, time; print('before', flush=True); time.sleep(0.5); os.kill(os.getpid(), 9)"
    )
    said = await told(run)
    assert "before" in text(said) and run.reply and run.reply["status"] == "error"
    if isinstance(client.endpoint, ZmqEndpoint):
        assert client.closed.is_set()
        late = client.execute("1")
        assert await told(late) == [] and late.reply and "has ended" in late.reply["evalue"]
    else:
        assert run.reply["ename"] == "KernelRestarted"
        assert text(await told(client.execute("print('again')"))) == "again\n"


async def test_restart(server: JupyterServer) -> None:
    async for client in connected(server.endpoint):
        await told(client.execute("x = 1"))
        running = client.execute(SLOW)
        await told(running, "stream")
        await client.restart()
        await told(running)
        assert running.reply and running.reply["ename"] == "KernelRestarted"
        after = client.execute("x")
        await told(after)
        assert after.reply and after.reply["ename"] == "NameError"


async def test_a_zmq_kernel_is_started_again_by_its_backend_only(kernel: PlainKernel) -> None:
    async for client in connected(kernel.endpoint):
        with pytest.raises(NotSupported, match="only by its backend"):
            await client.restart()
        running = client.execute(SLOW)
        await told(running, "stream")
        os.kill(kernel.process.pid, signal.SIGKILL)
        kernel.process.wait()
        kernel.start()  # At the same address: the client finds it.
        await told(running)
        assert running.reply and running.reply["ename"] == "ReplyLost"
        assert text(await told(client.execute("print('again')"))) == "again\n"


async def test_a_server_that_is_killed_and_started_again(tmp_path: Path) -> None:
    with jupyter_server(tmp_path) as server:
        await a_server_is_killed_and_started_again(server)


async def a_server_is_killed_and_started_again(server: JupyterServer) -> None:
    async for client in connected(server.endpoint):
        running = client.execute(SLOW)
        await told(running, "stream")
        server.end(signal.SIGKILL)
        waiting = client.execute("print('waited')")
        server.start()
        await told(running)
        assert running.reply and running.reply["ename"] == "KernelRestarted"
        await told(waiting)
        assert text(await told(client.execute("print('again')"))) == "again\n"


async def test_output_of_a_cut_is_sent_later(server: JupyterServer) -> None:
    """The server keeps what comes while nobody is connected."""
    async for client in connected(server.endpoint):
        code = "import time\nfor i in range(30): print(i, flush=True); time.sleep(0.1)"
        run = client.execute(code)
        await told(run, "stream")
        socket = client._channels._socket  # type: ignore[attr-defined]
        socket._response.connection.transport.abort()
        said = await told(run)
        assert run.reply and run.reply["status"] == "ok", run.reply
        assert text(said).endswith("28\n29\n")


async def test_binary_buffers(client: EndpointClient) -> None:
    code = """
from comm import create_comm
made = create_comm("test", data={}, buffers=[bytes(range(256)), b""])
made.on_msg(lambda message: made.send({"back": 1}, buffers=[bytes(message["buffers"][0])[::-1]]))
"""
    run = client.execute(code)
    opened = None
    async with asyncio.timeout(20):
        while (message := await run.messages.get()) is not None:
            opened = message if message["header"]["msg_type"] == "comm_open" else opened
    assert opened and [bytes(one) for one in opened["buffers"]] == [bytes(range(256)), b""]
    sent = client._session.msg("comm_msg", {"comm_id": opened["content"]["comm_id"], "data": {}})
    sent["buffers"] = [b"\x00\x01\x02"]
    answer = Run(sent["header"]["msg_id"])
    client.add(answer)
    client._send("shell", sent)
    async with asyncio.timeout(20):
        back = await answer.messages.get()
    assert back and [bytes(one) for one in back["buffers"]] == [b"\x02\x01\x00"]


async def test_a_message_that_the_server_would_refuse_is_an_error_of_that_cell(server: JupyterServer) -> None:
    async for client in connected(server.endpoint):
        large = client.execute(f"x = '{'x' * 11_000_000}'")
        await told(large)
        assert large.reply and "more than a Jupyter server takes" in large.reply["evalue"]
        assert text(await told(client.execute("print(1)"))) == "1\n"


async def test_curve(tmp_path: Path) -> None:
    with plain_kernel(tmp_path, curve=True) as kernel:
        async for client in connected(kernel.endpoint):
            assert text(await told(client.execute("print(1)"))) == "1\n"


async def test_another_key_is_not_believed(kernel: PlainKernel, caplog: pytest.LogCaptureFixture) -> None:
    info = {name: getattr(kernel.endpoint, name) for name in kernel.endpoint.__struct_fields__}
    client = EndpointClient(ZmqEndpoint(**info | {"key": "another"}))
    await client.open()
    run = client.execute("1")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await run.messages.get()
    await client.disconnect()
    assert "not signed by its key" in caplog.text


async def test_nobody_there(monkeypatch: pytest.MonkeyPatch, server: JupyterServer) -> None:
    for module in (zmq_channels, websocket_channels):
        monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    ports = dict.fromkeys(("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"), free_port())
    nowhere = ZmqEndpoint(transport="tcp", ip="127.0.0.1", key="secret-key", **ports)
    for endpoint, error in (
        (nowhere, BackendUnavailable),
        (JupyterEndpoint(url=f"http://127.0.0.1:{free_port()}/"), BackendUnavailable),
        (JupyterEndpoint(url=server.endpoint.url, headers={"Authorization": "token wrong"}), Unauthorized),
    ):
        client = EndpointClient(endpoint)
        with pytest.raises(error) as caught:
            await client.open()
        assert caught.value.hint
        await client.disconnect()
    assert "secret-key" not in repr(nowhere) and server.token not in repr(server.endpoint)
