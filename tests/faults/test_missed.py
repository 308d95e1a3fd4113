"""What is printed while no manager runs."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_sessions.channels.journal_messages import Selection
from jupyter_sessions.service import SessionService
from tests.kernels.clients import connect, shell
from tests.manager.test_outputs import begun, last, leave, outputs
from tests.manager.world import kill_manager, run, until

pytestmark = pytest.mark.asyncio

LINES = "import time\nfor number in range(60):\n    print('line', number, flush=True)\n    time.sleep(0.06)"


async def test_a_manager_is_killed_while_something_runs(service: SessionService) -> None:
    row = await run(service, "demo")
    await service.outputs("local", row.id, Selection())
    client = await connect(service, row)

    def start() -> None:
        with shell(client) as front:
            leave(front, LINES)

    await asyncio.to_thread(start)
    await until(lambda: begun(service, row))
    await kill_manager()
    await asyncio.sleep(0.3)
    assert (await last(service, row)).status == "running"

    async def is_over() -> bool:
        return (await last(service, row)).status != "running"

    await until(is_over)
    one = await last(service, row)
    text = "".join(output["text"] for output in one.outputs)
    assert (one.status, one.number) == ("ok", 1)
    assert text.startswith("line 0\n") and text.endswith("line 59\n")
    assert "was not seen: no session manager was running.]" in text
    (gap,) = (await outputs(service, row)).gaps
    assert 0.2 < (gap.until - gap.since).total_seconds() < 20
