"""Services from a command line: listed, started with arguments, stopped; real ones of a real session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_sessions.commands import parse, perform
from jupyter_sessions.commands.result import Result
from jupyter_sessions.errors import InvalidRequest, NoRoom, NotFound
from jupyter_sessions.model import ServiceRequest
from jupyter_sessions.service import SessionService
from tests.manager.world import run
from tests.waiting import until

PLUGINS = {"PYTHONPATH": str(Path(__file__).parents[1] / "resources" / "service_plugins")}


async def typed(service: SessionService, line: str) -> Result:
    """The result of a command."""
    return await perform(service, parse(line), print)  # type: ignore[arg-type]


async def table(service: SessionService, line: str) -> dict[str, str]:
    """The states of the services that a command lists, by name."""
    result: Any = await typed(service, line)
    return {row[0]: row[1] for row in result.rows}


@pytest.mark.asyncio
async def test_services_are_started_listed_and_stopped(shared: SessionService) -> None:
    row = await run(shared, "typed-in", environ=PLUGINS)

    async def known() -> bool:
        return "by-port" in await table(shared, "services typed-in")

    await until(known)
    states = await table(shared, "services typed-in")
    assert (states["terminal"], states["by-port"]) == ("not started", "not started")
    assert states["broken"].startswith("failed: The service 'broken' (tiny-plugins 1.2) cannot be loaded")
    started = await table(shared, "services typed-in by-port:2 --start --arg greeting=moin")
    assert list(started) == ["by-port:2"]

    async def ready() -> bool:
        state = (await table(shared, "services typed-in by-port:2"))["by-port:2"]
        return state.startswith("ready for ") and state.endswith(" (greeting=moin)")

    await until(ready)
    assert (await typed(shared, "services typed-in by-port:2 --log")).text() == "listening\n"
    await typed(shared, "services typed-in by-port:2 --restart")
    await until(ready)
    stopped = await table(shared, "services typed-in by-port:2 --stop")
    assert stopped == {"by-port:2": "not started: was stopped (greeting=moin)"}
    with pytest.raises(NotFound, match="no service 'nothing'"):
        await typed(shared, "services typed-in nothing --start")
    with pytest.raises(InvalidRequest, match="has no service 'nothing'"):
        await typed(shared, "services typed-in nothing")
    for line, why in [("--stop", "service is missing"), ("by-port --arg a=b", "--arg is for starting")]:
        with pytest.raises(InvalidRequest, match=why):
            await typed(shared, f"services typed-in {line}")
    assert row.live


@pytest.mark.asyncio
async def test_what_does_not_fit_is_started_only_by_force(shared: SessionService) -> None:
    await run(shared, "tight", resources={"mem": "100m"})
    with pytest.raises(NoRoom):
        await typed(shared, "services tight jupyter --start")
    assert "starting" in (await table(shared, "services tight jupyter --start --force"))["jupyter"]


def test_services_of_a_new_session() -> None:
    asked = parse("create python --service tensorboard --arg logdir=runs --arg quiet= --service jupyter")
    assert asked.service == [
        ServiceRequest("tensorboard", {"logdir": "runs", "quiet": ""}),
        ServiceRequest("jupyter"),
    ]
    assert parse("create python").service == []
    with pytest.raises(InvalidRequest, match="after the --service that it is for"):
        parse("create python --arg logdir=runs")
