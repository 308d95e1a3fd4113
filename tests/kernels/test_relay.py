"""The relay before a real kernel: addresses that stay, and a control channel that ends nothing by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.identity import identify, own_identity
from tests.kernels.clients import connect, shell, shut_down
from tests.manager.world import ask, configure, ended, nothing_left, run, says

pytestmark = pytest.mark.asyncio

BUFFERS = """
from comm import create_comm
comm = create_comm(target_name="test", data={}, buffers=[bytes(range(256)), b""])
comm.on_msg(lambda message: comm.send(data={}, buffers=[bytes(part)[::-1] for part in message["buffers"]]))
"""


async def test_clients_share_one_kernel(shared: SessionService) -> None:
    row = await run(shared, "shared")
    connection = await connect(shared, row)
    with shell(connection) as one, shell(connection) as two:
        one.run("x = 1")
        assert two.run("print(x + 1)").text == "2\n"
        asked = two.run("print(input('name? ')[::-1])", answers=("eva",))
        assert (asked.of("input_request")[0]["prompt"], asked.text) == ("name? ", "ave\n")
        assert "x" in one.complete("x")
    assert await says(shared, row, "print(x)") == "1"


async def test_buffers_pass_both_ways(shared: SessionService) -> None:
    row = await run(shared, "buffers")
    with shell(await connect(shared, row)) as front:
        opened = []
        front.client.execute_interactive(BUFFERS, output_hook=opened.append, timeout=30)
        message = next(one for one in opened if one["msg_type"] == "comm_open")
        assert [bytes(part) for part in message["buffers"]] == [bytes(range(256)), b""]
        content = {"comm_id": message["content"]["comm_id"], "data": {}}
        sent = front.client.session.msg("comm_msg", content)
        front.client.session.send(front.client.shell_channel.socket, sent, buffers=[b"abc\0"])
        while message["msg_type"] != "comm_msg":
            message = front.client.get_iopub_msg(timeout=10)
        assert [bytes(part) for part in message["buffers"]] == [b"\0cba"]


async def test_a_visitor_cannot_end_it(shared: SessionService) -> None:
    row = await run(shared, "visited")
    await connect(shared, row, own_identity())
    with shell(await connect(shared, row)) as front:
        front.run("x = 1")
        assert shut_down(front) == {"status": "ok", "restart": False}
        assert shut_down(front, restart=True) == {"status": "ok", "restart": True}
        assert front.run("print(x)").text == "1\n"
    assert (await shared.get("local", row.id)).status == "RUNNING"


async def test_its_owner_can(shared: SessionService) -> None:
    row = await run(shared, "owned")
    with shell(await connect(shared, row, own_identity())) as front:
        assert shut_down(front, restart=True) == {"status": "ok", "restart": True}
        assert front.run("print(1)").text == "1\n"
        assert shut_down(front) == {"status": "ok", "restart": False}
    row = await ended(shared, row)
    assert row.status_info == "its notebook was shut down"
    await nothing_left(row)


async def test_a_message_with_a_wrong_signature_is_dropped(shared: SessionService) -> None:
    row = await run(shared, "forged")
    with shell(await connect(shared, row, own_identity())) as front:
        front.client.session.key = b"another"
        front.client.shutdown()
        await asyncio.sleep(0.3)
    assert (await shared.get("local", row.id)).status == "RUNNING"


async def test_a_kernel_nobody_connected_to_ends_its_session(shared: SessionService) -> None:
    row = await run(shared, "alone")
    await says(shared, row, "exit()")
    assert (await ended(shared, row)).status_info == "self-terminated: exit status 0"


async def test_out_of_memory_is_no_reason_to_restart(shared: SessionService) -> None:
    row = await run(shared, "greedy", resources={"mem": "200m"})
    with shell(await connect(shared, row)) as front:
        front.client.execute("x = b'1' * 2**29; import time; time.sleep(30)")
        assert "out of memory" in (await ended(shared, row)).status_info


async def test_a_queued_session_whose_owner_goes(service: SessionService, state: Path) -> None:
    configure(state, owner_grace=0.2, max_resources={"cpu": 1})
    holder = await run(service, "holder", resources={"cpu": "1"})
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    row = await ask(service, "queued", resources={"cpu": "1"}, owner=identify(process.pid))
    assert row.status == "PENDING"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (await ended(service, row)).status == "CANCELLED"
    assert (await service.get("local", holder.id)).status == "RUNNING"


async def test_only_its_owner_gives_up_waiting(service: SessionService, state: Path) -> None:
    configure(state, max_sessions=1)
    await run(service, "holder")
    row = await ask(service, "queued")
    theirs, own = await connect(service, row), await connect(service, row, own_identity())
    with shell(theirs) as visitor, shell(own) as owner:
        for front in (visitor, owner):
            front.client.control_channel.send(front.client.session.msg("interrupt_request", {}))
            assert front.client.get_control_msg(timeout=20)["content"]["status"] == "ok"
            if front is visitor:
                assert shut_down(visitor) == {"status": "ok", "restart": False}
                await asyncio.sleep(0.3)
                assert (await service.get("local", row.id)).status == "PENDING"
    assert (await ended(service, row)).status_info == "interrupted while it waited"
