"""Cells that run in a session, and changes that are told: server-sent events and jupyter-events."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_sessions.server import heartbeat
from jupyter_sessions.server.app import SCHEMA_ID
from jupyter_sessions.wire import sse

if TYPE_CHECKING:
    from conftest import Rest

    from jupyter_sessions.server.app import SessionsExtension

pytestmark = pytest.mark.in_memory

SLOWLY = "import time\nfor i in range(3):\n    print(i, flush=True)\n    time.sleep(0.4)"
TINY = {"cpu": "0.01", "mem": "128m"}


@pytest.mark.real
async def test_outputs_arrive_while_the_cell_runs(rest: Rest) -> None:
    row = await rest.running("demo")
    async with rest.stream("POST", f"sessions/local/{row['id']}/execute", {"code": SLOWLY}) as events:
        seen = [(time.monotonic(), event.name, event.json()) async for event in events]
    printed = [
        (moment, data["content"]["text"]) for moment, name, data in seen if data.get("kind") == "stream"
    ]
    assert [text for _, text in printed] == ["0\n", "1\n", "2\n"]
    assert printed[1][0] - printed[0][0] > 0.3 and printed[2][0] - printed[1][0] > 0.3
    assert seen[-2][2]["kind"] == "reply" and seen[-2][2]["content"]["status"] == "ok"
    assert seen[-1][1] == sse.CLOSE


@pytest.mark.real
async def test_a_silent_cell_keeps_the_connection_alive(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_SECONDS", 0.2)
    row = await rest.running("demo")
    where = f"{rest.base_url}jupyter-sessions/sessions/local/{row['id']}/execute"
    async with rest.client.stream("POST", where, json={"code": "import time; time.sleep(2)"}) as response:
        text = "".join([part async for part in response.aiter_text()])
    assert text.count(": keep-alive") >= 3 and "event: server_close" in text


@pytest.mark.real
async def test_interrupt_ends_the_run_and_not_the_session(rest: Rest) -> None:
    row = await rest.running("demo")
    run = asyncio.create_task(rest.run(row, "print('begun', flush=True)\nwhile True: pass"))
    await asyncio.sleep(0.5)
    assert (await rest.ask("POST", f"sessions/local/{row['id']}/interrupt")).status_code == 204
    *_, reply = await run
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    first, *_ = await rest.run(row, "print(1)")
    assert first["content"]["text"] == "1\n"


@pytest.mark.real
async def test_input_is_asked_for_and_answered(rest: Rest) -> None:
    row = await rest.running("demo")
    path = f"sessions/local/{row['id']}"
    said = []
    async with rest.stream(
        "POST", f"{path}/execute", {"code": "print(input('name? '))", "stdin": True}
    ) as events:
        async for event in events:
            output = event.json()
            said.append(output.get("content"))
            if output.get("kind") == "input_request":
                assert output["content"] == {"prompt": "name? ", "password": False}
                answer = {"run": output["run"], "text": "Ada"}
                assert (await rest.ask("POST", f"{path}/input", answer)).status_code == 204
    assert {"name": "stdout", "text": "Ada\n"} in said


async def test_who_goes_away_leaves_no_reader_behind(rest: Rest, extension: SessionsExtension) -> None:
    row = await rest.running("demo")
    async with rest.stream("POST", f"sessions/local/{row['id']}/execute", {"code": SLOWLY}) as events:
        await anext(events)
        assert len(extension.settings["jupyter_sessions_streams"]) == 1
    async with asyncio.timeout(5):
        while extension.settings["jupyter_sessions_streams"]:
            await asyncio.sleep(0.02)
    *_, reply = await rest.run(row, "i")
    assert reply["content"]["status"] == "ok"


def rows_of(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """The sessions that changed; besides, kernels may be offered on them."""
    return [change["session"] for change in batch["changes"] if change["op"] == "put"]


async def test_events_begin_with_a_hello_and_tell_a_session_from_start_to_end(rest: Rest) -> None:
    async with rest.stream("GET", "events") as events:
        hello = (await anext(events)).json()
        listed = await rest.json("GET", "sessions")
        assert {key: listed[key] for key in hello} == hello
        row = await rest.create("demo", environ={"PET": "private cat"})
        statuses: list[str] = []
        rev = hello["rev"]
        while statuses[-1:] != ["TERMINATED"]:
            event = await anext(events)
            assert event.name == "sessions" and "private cat" not in event.data
            batch = event.json()
            assert (batch["epoch"], batch["rev"]) == (hello["epoch"], rev + 1)
            rev += 1
            statuses += [row["status"] for row in rows_of(batch)]
            if statuses[-1] == "RUNNING":
                await rest.end(row)
    assert statuses == sorted(statuses, key=["PREPARING", "RUNNING", "TERMINATING", "TERMINATED"].index)


async def test_an_idle_stream_is_kept_alive(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_SECONDS", 0.1)
    async with rest.client.stream("GET", f"{rest.base_url}jupyter-sessions/events") as response:
        lines = response.aiter_lines()
        while await anext(lines) != ": keep-alive":
            pass


async def test_since_gives_changes_or_says_to_read_all(rest: Rest, extension: SessionsExtension) -> None:
    start = await rest.json("GET", "sessions")
    row = await rest.running("demo")
    epoch, rev = start["epoch"], start["rev"]
    answer: dict[str, Any] = {"changes": []}
    while {"op": "kernels"} not in answer["changes"]:  # The last: the session is offered as a kernel.
        await asyncio.sleep(0.05)
        answer = await rest.json("GET", f"sessions?epoch={epoch}&since={rev}")
    assert answer["rev"] > rev and "sessions" not in answer
    assert rows_of(answer)[-1]["status"] == "RUNNING"
    assert {one["id"] for one in rows_of(answer)} == {row["id"]}
    now = await rest.json("GET", f"sessions?epoch={epoch}&since={answer['rev']}")
    assert now["changes"] == []
    for query in (f"epoch={epoch}&since={answer['rev'] + 1}", f"epoch=other&since={rev}", f"since={rev}"):
        whole = await rest.json("GET", f"sessions?{query}")
        assert [session["id"] for session in whole["sessions"]] == [row["id"]], query
    extension.service.feed._history.popleft()
    assert "sessions" in await rest.json("GET", f"sessions?epoch={epoch}&since={rev}")


class Subscriber:
    """A browser on /api/events/subscribe."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.batches: list[dict[str, Any]] = []
        self.texts: list[str] = []
        self.times: list[float] = []

    async def read(self, schema: str = SCHEMA_ID, seconds: float = 10) -> dict[str, Any]:
        """Return the next event of that schema, by default the next batch of changes."""
        while True:
            text = await asyncio.wait_for(self.socket.read_message(), seconds)
            message = json.loads(text)
            if message["schema_id"] == schema:
                self.texts.append(text)
                self.times.append(time.monotonic())
                self.batches.append(message)
                return dict(message)


async def test_a_burst_is_pushed_in_few_batches_without_gaps(rest: Rest, jp_ws_fetch: Any) -> None:
    subscriber = Subscriber(await jp_ws_fetch("api", "events", "subscribe"))
    start = await rest.json("GET", "sessions")
    all_cpus = {
        "cpu": (await rest.json("GET", "backends"))["backends"][0]["capacity"]["cpu"]["total"],
        "mem": "128m",
    }
    secret = {"PASSWORD": "hunter-two"}
    first = await rest.create("first", resources=all_cpus, environ=secret)  # The others wait for it.
    await rest.until(first, "RUNNING")
    begun = time.monotonic()
    rows = await asyncio.gather(
        *(rest.create(f"burst-{i}", resources=all_cpus, environ=secret) for i in range(50))
    )
    wanted = {row["id"] for row in rows}
    seen: dict[str, str] = {}
    while not wanted <= seen.keys():
        batch = await subscriber.read()
        seen |= {row["id"]: row["status"] for row in rows_of(batch)}
    took = time.monotonic() - begun
    revs = [batch["rev"] for batch in subscriber.batches]
    assert revs == list(range(start["rev"] + 1, start["rev"] + 1 + len(revs)))
    assert {batch["epoch"] for batch in subscriber.batches} == {start["epoch"]}
    assert sum(moment >= begun for moment in subscriber.times) <= took / 0.1 + 2 and len(revs) < 30
    assert "hunter-two" not in "".join(subscriber.texts)
    subscriber.socket.close()


async def test_a_heartbeat_tells_subscribers_the_latest_revision(
    rest: Rest, extension: SessionsExtension, jp_ws_fetch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "SECONDS", 0.1)
    events = extension.serverapp.event_logger
    # Without a page nothing is emitted, which would fill the event log of an administrator.
    assert not heartbeat.has_listeners(events)
    subscriber = Subscriber(await jp_ws_fetch("api", "events", "subscribe"))
    row = await rest.running("demo")
    batch: dict[str, Any] = {"rev": 0}
    while {"op": "kernels"} not in batch.get("changes", []):  # The last: the session is offered as a kernel.
        batch = await subscriber.read()
    beats = [await subscriber.read(heartbeat.SCHEMA_ID) for _ in range(2)]
    assert {(beat["epoch"], beat["rev"]) for beat in beats} == {(batch["epoch"], batch["rev"])}
    subscriber.socket.close()
    while heartbeat.has_listeners(events):
        await asyncio.sleep(0.02)
    await rest.end(row)
