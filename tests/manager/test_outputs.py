"""What real sessions printed, asked for later: whoever ran it, and whatever became of the manager."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_sessions.channels import kernel_client
from jupyter_sessions.channels.journal_messages import Execution, Outputs, Selection
from jupyter_sessions.manager.endpoints import kernel_link
from jupyter_sessions.manager.run import logs
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService
from tests.kernels.clients import connect, shell
from tests.manager.world import Rest, ended, run, says, until
from tests.processes import Shell

pytestmark = pytest.mark.asyncio

PICTURE = "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.show()"


async def outputs(service: SessionService, row: SessionInfo, **which: int) -> Outputs:
    return await service.outputs("local", row.id, Selection(**which))


async def last(service: SessionService, row: SessionInfo) -> Execution:
    (one,) = (await outputs(service, row, last=1)).executions
    return one


def leave(front: Shell, code: str) -> str:
    """Start code and go as soon as it runs; the id of the request."""
    request = str(front.client.execute(code))
    while front.client.get_iopub_msg(timeout=10)["parent_header"].get("msg_id") != request:
        pass
    return request


async def test_it_is_there_whoever_ran_it_and_when_all_is_over(service: SessionService) -> None:
    pytest.importorskip("matplotlib")
    row = await run(service, "demo", resources={"mem": "600m"})
    await says(service, row, "print('over REST')")
    connection = await connect(service, row)

    def visit() -> str:
        with shell(connection) as front:
            front.run(PICTURE)
            return leave(front, "import time; print('begun', flush=True); time.sleep(60)")

    request = await asyncio.to_thread(visit)
    await until(lambda: begun(service, row))
    first, second, third = (await outputs(service, row)).executions
    assert [first.number, second.number, third.number] == [1, 2, 3]
    assert first.outputs == [{"output_type": "stream", "name": "stdout", "text": "over REST\n"}]
    assert "image/png" in second.outputs[0]["data"] and second.code == PICTURE
    assert (third.id, third.status, third.ended) == (request, "running", None)

    await service.destroy("local", row.id, forced=True)
    await ended(service, row)
    second, third = (await outputs(service, row, since=1)).executions
    assert (second.status, third.status) == ("ok", "error")
    assert third.outputs[1]["evalue"] == "The session has ended (on request)."
    async with Rest() as rest:
        refused = await rest.send("GET", f"/jupyter-sessions/sessions/{row.id}/outputs?last=-1")
        assert (refused.status_code, refused.json()["field"]) == (400, "last")


async def begun(service: SessionService, row: SessionInfo) -> bool:
    found = (await outputs(service, row, last=1)).executions
    return bool(found and found[0].outputs)


async def test_logs_begin_a_new_file_without_losing_the_last(tmp_path: Path) -> None:
    kept = logs.LogFiles(tmp_path)
    line = f"{'x' * 99}\n"
    for number in range(9):
        text = line * (logs.OUTPUT_BYTES // 800) + f"line {number}\n"
        kept.add({"header": {"msg_type": "stream"}, "content": {"text": text}})
        assert kept.text().endswith(f"{line}line {number}\n")
        assert len(kept.text()) > logs.TAIL_BYTES - len(line)


async def test_a_run_that_nobody_reads_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = kernel_link.KernelLink(
        kernel_link.KernelSockets(tmp_path, tmp_path / "none.json", "key"), lambda message: None
    )
    read, unread = kernel_client.Run("read"), kernel_client.Run("unread")
    link._runs = {"read": read, "unread": unread}
    monkeypatch.setattr(kernel_client, "UNREAD_SECONDS", 0.05)
    reader = asyncio.create_task(read.messages.get())
    await asyncio.sleep(0.1)
    link.drop_unread_output()
    assert [*link._runs] == ["read"]
    reader.cancel()
