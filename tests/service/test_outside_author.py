"""A backend of an author from outside, who has written four methods and `kernel_endpoint`, has cells."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_sessions.backends.base import Output
from jupyter_sessions.errors import NotRunning, NotSupported
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import SessionService
from tests.outside import outside_service
from tests.waiting import until

pytestmark = pytest.mark.asyncio
FORMS = pytest.mark.parametrize("server", [False, True], ids=["zmq", "jupyter"])


async def running(service: SessionService) -> SessionInfo:
    row = await service.create(SessionSpec(name="demo"))

    async def runs() -> bool:
        return (await service.get("outside", row.id)).status == "RUNNING"

    await until(runs)
    return row


async def told(service: SessionService, row: SessionInfo, code: str, answer: str = "") -> list[Output]:
    found = []
    async with asyncio.timeout(60):
        async for output in service.execute("outside", row.id, code, stdin=bool(answer)):
            found.append(output)
            if output.kind == "input_request":
                await service.input("outside", row.id, output.run, answer)
    return found


@FORMS
async def test_cells(outside: Path, server: bool) -> None:
    async with outside_service(outside, server=server) as service:
        (described,) = await service.describe()
        assert {"execute", "interrupt", "input", "complete"} <= set(described.capabilities)
        row = await running(service)
        said = await told(service, row, "name = input('? ')\nprint('hello', name)", "Ada")
        assert [output.content.get("text") for output in said if output.kind == "stream"] == ["hello Ada\n"]
        assert (said[-1].kind, said[-1].content["status"]) == ("reply", "ok")
        again = await told(service, row, "name.upper()")
        assert again[0].content["data"]["text/plain"] == "'ADA'"
        assert "getcwd" in str(
            (await service.complete("outside", row.id, "import os; os.getc", 18))["matches"]
        )
        cell = asyncio.create_task(told(service, row, "import time; time.sleep(60)"))
        await asyncio.sleep(0.5)
        await service.interrupt("outside", row.id)
        assert (await cell)[-1].content["ename"] == "KeyboardInterrupt"
        if server:
            await service.restart("outside", row.id)
            assert (await told(service, row, "name"))[-1].content["ename"] == "NameError"
        else:
            with pytest.raises(NotSupported, match="only by its backend"):
                await service.restart("outside", row.id)


async def test_no_cells_before_it_runs_or_after_it_has_ended(outside: Path) -> None:
    async with outside_service(outside, delay=3600) as service:
        row = await service.create(SessionSpec(name="demo"))
        with pytest.raises(NotRunning, match="is PENDING"):
            await told(service, row, "1")
        await service.destroy("outside", row.id)
        with pytest.raises(NotRunning, match="TERMINATED"):
            await told(service, row, "1")


@FORMS
async def test_a_cell_ends_with_its_session(outside: Path, server: bool) -> None:
    async with outside_service(outside, server=server) as service:
        row = await running(service)
        await told(service, row, "1")
        cell = asyncio.create_task(told(service, row, "import time; time.sleep(60)"))
        await asyncio.sleep(0.5)
        await service.destroy("outside", row.id)
        with pytest.raises(NotRunning, match="has ended"):
            await cell
