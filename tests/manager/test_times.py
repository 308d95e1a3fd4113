"""Waiting for others and for a time, callbacks, limits of time and measured use, on a real manager."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from jupyter_sessions.errors import InvalidRequest, NotRunning
from jupyter_sessions.service import SessionService
from tests.manager.world import SMALL, V8, Rest, ask, ended, kill_manager, reach, run, says, until
from tests.ports import free_port

pytestmark = pytest.mark.asyncio

GQL = "query($id: UUID!) { compute_session(id: $id) { idle_checks dependencies { name } containers { live_stat } } }"


class Listener:
    """A web server that keeps what is posted to it, and answers as told."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{free_port()}/told?secret=x"

    async def take(self, request: web.Request) -> web.Response:
        """Keep a body, unless an error is to be answered."""
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.bodies.append(await request.json())
        return web.Response(
            status=status, headers={"Location": "http://127.0.0.1:1/"} if status == 302 else {}
        )


@pytest_asyncio.fixture
async def listener() -> AsyncIterator[Listener]:
    made = Listener()
    app = web.Application()
    app.add_routes([web.post("/told", made.take)])
    runner = web.AppRunner(app)
    await runner.setup()
    port = int(made.url.split(":")[2].split("/")[0])
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield made
    await runner.cleanup()


async def test_what_waits_for_others_and_what_becomes_of_it(service: SessionService, state: Path) -> None:
    first = await run(service, "first")
    second = await ask(service, "second", dependencies=["first"])
    third = await ask(service, "third", dependencies=[second.id])
    second = await until(lambda: _waiting(service, second.id, "'first' (running)"))
    with pytest.raises(InvalidRequest, match="no session 'nobody'") as caught:
        await ask(service, "fourth", dependencies=["first", "nobody"])
    assert caught.value.field == "dependencies"

    async with Rest(V8) as rest:
        graph = (await rest.send("GET", "/session/third/dependency-graph")).json()
        assert graph["status"] == "KernelStatus.PENDING"
        assert graph["depends_on"][0]["depends_on"][0]["session_name"] == "first"
        datetime.strptime(graph["status_changed"].split("+")[0], "%Y-%m-%d %H:%M:%S.%f")
        data = (await rest.send("POST", "/admin/gql", {"query": GQL, "variables": {"id": second.id}})).json()
        assert data["data"]["compute_session"]["dependencies"] == [{"name": "first"}]
        found = (await rest.send("GET", f"/session/_/match?id={first.id[:13]}")).json()["matches"]
        assert found == [{"id": first.id, "name": "first", "status": "RUNNING"}]

        await service.destroy("local", first.id)
        assert (await ended(service, first)).status == "TERMINATED"
        await reach(service, second, "RUNNING")
        history = (await rest.send("GET", "/session/second/status-history")).json()["result"]
        assert list(history)[:3] == ["PENDING", "PREPARING", "RUNNING"]
        assert history["preparing"] == history["PREPARING"]

    await _crash(service, second.id)
    gone = await ended(service, third)
    assert gone.status == "CANCELLED"
    assert gone.status_info.startswith("dependency-failed: 'second' has ended")


async def _waiting(service: SessionService, session_id: str, why: str) -> Any:
    row = await service.get("local", session_id)
    return row if row.status == "PENDING" and why in row.status_info else None


async def _crash(service: SessionService, session_id: str) -> None:
    with contextlib.suppress(Exception):
        async for _ in service.execute("local", session_id, "import os; os._exit(3)"):
            pass


@pytest.mark.in_memory
async def test_ending_with_all_that_waits_for_it(shared: SessionService) -> None:
    first = await run(shared, "first")
    second = await ask(shared, "second", dependencies=["first"])
    third = await ask(shared, "third", dependencies=["second"])
    await shared.destroy("local", first.id, recursive=True)
    for row in (second, third):
        assert (await ended(shared, row)).status_info == "user-requested"
    assert (await ended(shared, first)).status == "TERMINATED"


async def test_start_times_and_callbacks_in_order(
    service: SessionService, state: Path, listener: Listener
) -> None:
    listener.answers = [500, 302]  # The first is delivered with the third try.
    await service.backend("local").capacity()  # The manager runs, however long that took.
    when = datetime.now(UTC) + timedelta(seconds=6)
    row = await ask(service, "later", starts_at=when.isoformat(), callback_url=listener.url)
    assert await until(lambda: _waiting(service, row.id, "Waiting until "))
    waits = await service.get("local", row.id)
    assert waits.starts_at == when
    assert waits.status_changed is not None
    entered = datetime.fromisoformat(waits.status_history["PENDING"])
    assert entered < waits.status_changed, "that it is PENDING is not new, only why"
    row = await reach(service, row, "RUNNING")
    assert row.started_at is not None
    assert row.started_at >= when
    assert row.started_at - when < timedelta(seconds=20)
    await service.destroy("local", row.id)
    await ended(service, row)
    await until(lambda: len(listener.bodies) == 5)
    assert [(body["event"], body["status"]) for body in listener.bodies] == [
        ("enqueued", "PENDING"),
        ("scheduled", "PREPARING"),
        ("started", "RUNNING"),
        ("terminating", "TERMINATING"),
        ("terminated", "TERMINATED"),
    ]
    assert {(body["type"], body["session_id"]) for body in listener.bodies} == {("session_lifecycle", row.id)}
    assert sorted(body["when"] for body in listener.bodies) == [body["when"] for body in listener.bodies]
    assert "secret=x" not in (state / "manager.log").read_text()


@pytest.mark.in_memory
async def test_the_end_of_one_that_failed_is_told_in_steps(
    shared: SessionService, listener: Listener
) -> None:
    row = await ask(shared, "fails", bootstrap_script="exit 1", callback_url=listener.url)
    await shared.destroy("local", (await reach(shared, row, "ERROR")).id)
    await until(lambda: len(listener.bodies) == 5)
    told = [body["event"] for body in listener.bodies]
    assert told == ["enqueued", "scheduled", "failure", "terminating", "terminated"]


@pytest.mark.in_memory
async def test_a_dead_callback_delays_nothing(shared: SessionService) -> None:
    row = await run(shared, "alone", callback_url=f"http://127.0.0.1:{free_port()}/")
    await shared.destroy("local", row.id)
    await ended(shared, row)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("callback_url", "file:///etc/passwd"),
        ("callback_url", "http://"),
        ("callback_url", "http://host:99999/"),
        ("callback_url", "ftp://host/"),
        ("starts_at", "soon"),
        ("idle_timeout", "-5"),
        ("time_limit", "4 parsecs"),
        ("time_limit", "nan"),
    ],
)
@pytest.mark.in_memory
async def test_what_cannot_be_understood_is_refused(shared: SessionService, field: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(shared, "refused", **{field: value})
    assert caught.value.field == field
    assert "refused" not in [row.name for row in (await shared.list(backend="local", status="all")).sessions]


async def test_ends_are_told_warned_of_and_renewed(service: SessionService, state: Path) -> None:
    row = await run(service, "limited", time_limit="2h", idle_timeout="1h")
    row = await service.get("local", row.id)
    assert row.ends_why == "time_limit"
    assert row.ends_at is not None
    assert row.started_at is not None
    assert abs(row.ends_at - row.started_at - timedelta(hours=2)) < timedelta(seconds=3)
    assert row.idle_checks is not None
    assert 3500 < row.idle_checks["network_timeout"]["remaining"] <= 3600

    await kill_manager()
    again = await service.get("local", row.id)
    assert again.ends_at is not None
    assert abs(again.ends_at - row.ends_at) < timedelta(seconds=3)
    await asyncio.sleep(2)
    renewed = await service.renew("local", row.id)
    assert renewed.ends_at is not None
    assert renewed.ends_at - row.ends_at > timedelta(seconds=1)
    await service.record_use("local", row.id)

    plain = await run(service, "plain")
    assert (plain.ends_at, plain.idle_checks) == (None, None)
    async with Rest(V8) as rest:
        body = {"name": "vendor", "image": "python3", "enqueueOnly": True, "config": {"resources": SMALL}}
        made = (await rest.send("POST", "/session", body)).json()
        vendor = await reach(service, await service.get("local", made["sessionId"]), "RUNNING")
        assert vendor.idle_checks is not None
        assert 1700 < vendor.idle_checks["network_timeout"]["remaining"] <= 1800


async def test_use_is_measured_when_asked_for(shared: SessionService) -> None:
    row = await run(shared, "used")
    await shared.get("local", row.id)
    work = "x = bytearray(50_000_000)\nimport time\nend = time.time() + 2\nwhile time.time() < end: pass"
    await says(shared, row, work)
    row = await shared.get("local", row.id)
    stat = row.live_stat
    assert stat is not None
    assert {"cpu_util", "cpu_used", "mem", "io_read", "io_write"} <= set(stat)
    assert 10 < float(stat["cpu_util"]["current"]) <= 150
    assert float(stat["cpu_util"]["capacity"]) == 50
    assert int(stat["cpu_used"]["current"]) > 500
    assert 50_000_000 < int(stat["mem"]["current"]) <= 256 * 1024**2
    assert int(stat["mem"]["stats.max"]) >= int(stat["mem"]["current"])
    for metric in stat.values():
        assert {"current", "capacity", "pct", "unit_hint"} <= set(metric)
        assert all(value is None or isinstance(value, str) for value in metric.values())
    before = int(stat["cpu_used"]["current"])
    row = await shared.restart("local", row.id)
    assert row.live_stat is not None
    assert int(row.live_stat["cpu_used"]["current"]) >= before
    await shared.destroy("local", row.id)
    row = await ended(shared, row)
    assert row.live_stat is None
    assert row.last_stat is not None
    assert int(row.last_stat["cpu_used"]["current"]) >= before
    assert json.dumps(row.last_stat)


@pytest.mark.in_memory
async def test_what_has_not_started_cannot_be_renewed(shared: SessionService) -> None:
    row = await ask(shared, "later", starts_at="1h")
    with pytest.raises(NotRunning, match="is waiting"):
        await shared.renew("local", row.id)
