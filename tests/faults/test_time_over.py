"""Sessions whose time is over, and those that only look as if they did nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_sessions.service import SessionService
from tests.manager.world import V8, Rest, ended, run, says

pytestmark = pytest.mark.asyncio


async def test_time_that_is_over(service: SessionService, tmp_path: Path) -> None:
    """What is not used ends; what is silent and busy, or works in the background, does not; a limit ends all."""

    async def idle() -> None:
        row = await ended(service, await run(service, "idle", idle_timeout=5))
        assert row.status_info == "idle-timeout: it was not used for 5 s"
        assert row.ends_why == "idle"

    async def busy() -> None:
        row = await run(service, "busy", idle_timeout=5)
        await says(service, row, "import time; time.sleep(12)")
        assert (await service.get("local", row.id)).status == "RUNNING"

    async def background() -> None:
        row = await run(service, "background", idle_timeout=5)
        await says(
            service,
            row,
            "import threading\ndef spin():\n    while True: pass\n"
            "threading.Thread(target=spin, daemon=True).start()",
        )
        await asyncio.sleep(12)
        assert (await service.get("local", row.id)).status == "RUNNING"

    async def command() -> None:
        row = await run(service, "command", idle_timeout=5)
        await _begin(row.id, "sleep 60")
        await asyncio.sleep(12)
        assert (await service.get("local", row.id)).status == "RUNNING"

    async def beside() -> None:
        """What runs beside a kernel is asked to end, too, and what does not heed an interrupt."""
        tidies = "trap '' INT; trap 'touch tidied-%s; exit' TERM; touch %s; while :; do sleep 0.1; done"
        begun = tidies % ("startup", "startup")
        row = await run(service, "beside", time_limit="6s", startup_command=begun, cwd=str(tmp_path))
        await _begin(row.id, tidies % ("command", "command"))
        row = await ended(service, row)
        assert row.status_info == "time-limit: it ran for its full 6 s"
        assert {file.name for file in tmp_path.glob("tidied-*")} == {"tidied-startup", "tidied-command"}

    async def limited() -> None:
        row = await run(service, "limited", time_limit="6s")
        tidy = "import time\ntry:\n    time.sleep(60)\nfinally:\n    print('tidied')"
        outputs = [output async for output in service.execute("local", row.id, tidy)]
        assert "tidied" in str(outputs)
        assert outputs[-1].content["ename"] == "KeyboardInterrupt"
        row = await ended(service, row)
        assert row.status_info == "time-limit: it ran for its full 6 s"

    await asyncio.gather(idle(), busy(), background(), command(), beside(), limited())


async def _begin(session_id: str, command: str) -> None:
    """Begin a batch run, and look no further: to look is to use."""
    async with Rest(V8) as rest:
        asked = {"mode": "batch", "options": {"exec": command}}
        assert (await rest.send("POST", f"/session/{session_id}", asked)).status_code == 200
