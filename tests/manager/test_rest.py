"""The session API as the vendors' clients speak it, over the loopback port."""

from __future__ import annotations

import asyncio
import platform
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from jupyter_sessions.service import SessionService
from jupyter_sessions.wire import sse
from tests.manager.world import V8, Rest, configure, ended, reach, says, until

pytestmark = [pytest.mark.asyncio, pytest.mark.in_memory]

SEED: dict[str, Any] = {
    "lang": "python",
    "clientSessionToken": "mysession-01",
    "enqueueOnly": False,
    "maxWaitSeconds": 0,
    "reuseIfExists": True,
    "domain": "default",
    "group": "default",
    "config": {
        "clusterSize": 1,
        "environ": {"MYCONFIG": "XXX"},
        "resources": {"cpu": "0.5", "mem": "256m", "cuda.devices": "0"},
    },
    "tag": "example-tag",
    "aFieldFromTheFuture": {"x": [1]},
}


@pytest_asyncio.fixture
async def rest(service: SessionService) -> AsyncIterator[Rest]:
    await service.backend("local").capacity()
    async with Rest() as made:
        yield made


def spec(name: str, **fields: Any) -> dict[str, Any]:
    return SEED | {"clientSessionToken": name, "enqueueOnly": True} | fields


def problem(response: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    assert body["type"] == f"https://api.backend.ai/probs/{kind}"
    assert body["title"]
    return body


@pytest.mark.real
async def test_as_seed_000_says(rest: Rest, service: SessionService) -> None:
    made = await rest.send("POST", "/session", SEED)
    assert made.status_code == 201
    body = made.json()
    assert body["sessId"] == body["sessionId"]
    assert (body["sessionName"], body["status"], body["created"]) == ("mysession-01", "RUNNING", True)
    assert body["servicePorts"] == body["service_ports"]
    assert {"name", "protocol"} <= body["servicePorts"][0].keys()

    again = await rest.send("POST", "/session", SEED | {"tag": "ignored"})
    assert again.status_code == 200
    assert (again.json()["sessId"], again.json()["created"]) == (body["sessId"], False)

    info = (await rest.send("GET", "/session/mysession-01")).json()
    assert info["lang"] == info["image"] == "python3"
    assert (info["status"], info["tag"], info["domainName"]) == ("RUNNING", "example-tag", "default")
    assert info["environ"] == '{"MYCONFIG":"XXX"}'
    assert info["age"] >= 0
    assert info["containerId"].isdigit()
    assert info["terminationTime"] is None
    assert info["statusData"] == {"session": {"status": "RUNNING"}, "kernels": {"main1": "RUNNING"}}
    assert int(info["lastStat"]["mem"]["current"]) > 0, "as of now while it runs"
    assert (await rest.send("GET", f"/session/{body['sessId']}")).json()["status"] == "RUNNING"

    run = {"mode": "query", "code": "import os; print(os.environ['MYCONFIG'])", "runId": None}
    result = (await rest.send("POST", "/session/mysession-01", run)).json()["result"]
    while result["status"] != "finished":
        step = {"mode": "continue", "code": "", "runId": result["runId"]}
        result = {"console": [], **(await rest.send("POST", "/session/mysession-01", step)).json()["result"]}
        if result["console"]:
            assert result["console"] == [["stdout", "XXX\n"]]
    after = (await rest.send("GET", "/session/mysession-01")).json()
    assert after["numQueriesExecuted"] > info["numQueriesExecuted"]

    assert (await rest.send("PATCH", "/session/mysession-01")).status_code == 204
    assert (await rest.send("GET", "/session/mysession-01")).json()["age"] > info["age"]
    assert (await rest.send("DELETE", "/session/mysession-01")).status_code == 204
    await ended(service, await service.get("local", body["sessId"]))
    gone = (await rest.send("GET", "/session/mysession-01")).json()
    assert (gone["status"], gone["statusInfo"]) == ("TERMINATED", "user-requested")
    assert gone["terminationTime"]
    assert gone["lastStat"]["cpu_used"]["current"].isdigit()


async def test_the_version_decides_codes_and_bodies(rest: Rest, service: SessionService) -> None:
    async with Rest(V8) as new:
        for client, name, reuse, destroy, too_much in (
            (rest, "old-one", 200, 204, 406),
            (new, "new-one", 201, 200, 412),
        ):
            made = await client.send("POST", "/session", spec(name))
            assert made.status_code == 201
            assert (await client.send("POST", "/session", spec(name))).status_code == reuse
            more = spec("too-much", config={"resources": {"cpu": 99999}})
            problem(await client.send("POST", "/session", more), too_much, "quota-exceeded")
            deleted = await client.send("DELETE", f"/session/{name}?forced=true")
            assert deleted.status_code == destroy
            assert bool(deleted.content) == (destroy == 200)
            if deleted.content:
                assert deleted.json()["stats"]["status"] in ("cancelled", "terminating")
            await ended(service, await service.get("local", made.json()["sessionId"]))
        assert (await rest.send("GET", "/session/new-one")).status_code == 200
        problem(await new.send("GET", "/session/new-one"), 404, "object-not-found")
    assert [row.name for row in (await service.list(status="all")).sessions] == ["new-one", "old-one"]


async def test_this_machine_s_architecture_by_all_its_names(rest: Rest) -> None:
    intel, arm = ("x86_64", "amd64"), ("aarch64", "arm64")
    mine, other = (intel, arm) if platform.machine() in intel else (arm, intel)
    for name in mine:
        made = await rest.send("POST", "/session", spec(f"on-{name}", architecture=name))
        assert made.status_code == 201, made.text
    for name in other:
        refused = await rest.send("POST", "/session", spec("elsewhere", architecture=name))
        problem(refused, 400, "invalid-api-params")


@pytest.mark.real
async def test_code_that_asks_for_input(rest: Rest) -> None:
    await rest.send("POST", "/session", spec("asks", enqueueOnly=False))
    asked = {"mode": "query", "code": "print('hello', input('name? '))"}
    said, status = "", ""
    while status != "finished":
        result = (await rest.send("POST", "/session/asks", asked)).json()["result"]
        said += "".join(text for _, text in result.get("console") or [])
        status = result["status"]
        mode = "input" if status == "waiting-input" else "continue"
        asked = {"mode": mode, "code": "Alice", "runId": result["runId"]}
    assert said == "name? hello Alice\n"


async def test_what_is_wrong_is_named_as_the_sender_spells_it(rest: Rest) -> None:
    for field, body in [
        ("clientSessionToken", {"image": "python"}),
        ("maxWaitSeconds", spec("wrong", maxWaitSeconds="soon")),
        ("clusterSize", spec("wrong", clusterSize="big")),
        ("cluster_size", spec("wrong", cluster_size="big")),
        ("startupCommand", spec("wrong", startupCommand=[1])),
    ]:
        said = problem(await rest.send("POST", "/session", body), 400, "invalid-api-params")
        assert (said["field"], [*said["data"]]) == (field, [field]), said
        assert field in said["msg"] and not said["msg"].startswith(field), said


async def test_names_that_mean_something_else_in_addresses(rest: Rest) -> None:
    await rest.send("POST", "/session", spec("create-1"))
    for name in ("create", "from-template"):
        for target, body in (
            ("/session", spec(name)),
            ("/session/create-1/rename", {"session_name": name}),
        ):
            refused = problem(await rest.send("POST", target, body), 400, "invalid-api-params")
            assert f"'{name}' is not a valid session name" in refused["msg"]


async def test_reuse(rest: Rest) -> None:
    first = (await rest.send("POST", "/session", spec("same-name"))).json()
    for other in ({"reuseIfExists": False}, {"lang": "python3", "reuseIfExists": False}):
        body = problem(
            await rest.send("POST", "/session", spec("same-name", **other)), 400, "session-already-exists"
        )
        assert body["data"]["existingSessionId"] == first["sessId"]
    problem(await rest.send("POST", "/session", spec("same-name", lang="pythn3")), 400, "invalid-api-params")


async def test_waiting(state: Path, rest: Rest, service: SessionService) -> None:
    """A full queue: create answers TIMEOUT and leaves the session in it; DELETE cancels."""
    total = (await service.backend("local").capacity())["cpu"].total
    holder = await rest.send(
        "POST", "/session", spec("holder", config={"resources": {"cpu": total, "mem": "256m"}})
    )
    began = time.monotonic()
    late = await rest.send("POST", "/session", spec("too-late", enqueueOnly=False, maxWaitSeconds=1))
    assert 0.9 < time.monotonic() - began < 5
    assert (late.status_code, late.json()["status"]) == (201, "TIMEOUT")
    info = (await rest.send("GET", "/session/too-late")).json()
    assert (info["status"], info["occupiedSlots"], info["containerId"]) == ("PENDING", "{}", None)
    assert info["statusInfo"] == "Waiting for 0.5 CPU (0 free)."
    problem(await rest.send("PATCH", "/session/too-late"), 400, "invalid-api-params")
    problem(
        await rest.send("POST", "/session/too-late", {"mode": "query", "code": "1"}),
        400,
        "invalid-api-params",
    )
    assert (await rest.send("DELETE", "/session/too-late")).status_code == 204
    assert (await rest.send("GET", "/session/too-late")).json()["status"] == "CANCELLED"

    patient = asyncio.create_task(rest.send("POST", "/session", spec("patient", enqueueOnly=False)))
    await until(lambda: _status(rest, "patient", "PENDING"))
    assert not patient.done()
    await rest.send("DELETE", "/session/holder?forced=true")
    assert (await patient).json()["status"] == "RUNNING"
    assert holder.status_code == 201


async def _status(rest: Rest, name: str, status: str) -> bool:
    return bool((await rest.send("GET", f"/session/{name}")).json().get("status") == status)


async def test_events(rest: Rest, service: SessionService) -> None:
    async with Listener(rest, "/events/session?sessionName=*") as everything:
        assert await everything.line() == ": keep-alive"
        made = (await rest.send("POST", "/session", spec("evented", enqueueOnly=False))).json()
        of_one = f"/events/session?sessionId={made['sessId']}"
        async with Listener(rest, of_one) as one, Listener(rest, f"{of_one}&scope=session") as narrow:
            assert await one.line() == await narrow.line() == ": keep-alive"
            await rest.send("DELETE", "/session/evented")
            assert await narrow.names() == ["session_terminating", "session_terminated", "server_close"]
            assert await one.names() == [
                "session_terminating",
                "kernel_terminating",
                "kernel_terminated",
                "session_terminated",
                "server_close",
            ]
        names = await everything.names("session_terminated")
        assert names == [
            "session_enqueued",
            "session_scheduled",
            "kernel_preparing",
            "kernel_creating",
            "kernel_started",
            "session_started",
            "session_terminating",
            "kernel_terminating",
            "kernel_terminated",
            "session_terminated",
        ]
        data = everything.events[-1].json()
        assert (data["sessionId"], data["sessionName"]) == (made["sessId"], "evented")
        assert data["reason"] == "user-requested"
    async with Listener(rest, f"/events/session?sessionId={made['sessId']}") as late:
        assert await late.names() == ["server_close"], "of one that has ended there is nothing to wait for"
    problem(await rest.send("GET", "/events/session?sessionName=nobody"), 404, "object-not-found")
    problem(await rest.send("GET", "/events/session?scope=agent"), 400, "invalid-api-params")


class Listener:
    """One stream of events."""

    def __init__(self, rest: Rest, target: str) -> None:
        self._rest = rest
        self._request = rest.request("GET", target)
        self.events: list[sse.ServerEvent] = []

    async def __aenter__(self) -> Listener:
        self._response = await self._rest.http.send(self._request, stream=True)
        assert self._response.status_code == 200
        assert self._response.headers["Content-Type"] == "text/event-stream"
        self._lines = self._response.aiter_lines()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._response.aclose()

    async def line(self) -> str:
        return await anext(self._lines)

    async def names(self, last: str = sse.CLOSE) -> list[str]:
        """The names of all events up to one."""
        async with asyncio.timeout(30):
            async for event in sse.parse(self._lines):
                self.events.append(event)
                if event.name == last:
                    break
        return [event.name for event in self.events]


LIST = """query($limit: Int!, $offset: Int!, $status: String) {
  compute_session_list(limit: $limit, offset: $offset, status: $status) {
    items { id name status requested_slots occupying_slots } total_count } }"""


async def test_lists_come_in_pages(state: Path, service: SessionService) -> None:
    configure(state, max_resources={"cpu": 1})
    await service.backend("local").capacity()
    async with Rest(V8) as rest:
        holder = spec("holder", config={"resources": {"cpu": 1, "mem": "256m"}}, enqueueOnly=False)
        assert (await rest.send("POST", "/session", holder)).json()["status"] == "RUNNING"
        names = [f"waits-{number}" for number in range(5)]
        for name in names:
            assert (await rest.send("POST", "/session", spec(name))).status_code == 201
        await rest.send("DELETE", "/session/waits-2")

        async def page(limit: int, offset: int, status: str | None = None) -> tuple[list[str], int]:
            variables = {"limit": limit, "offset": offset, "status": status}
            answer = (await rest.send("POST", "/admin/gql", {"query": LIST, "variables": variables})).json()
            found = answer["data"]["compute_session_list"]
            return [item["name"] for item in found["items"]], found["total_count"]

        async def place() -> object:
            """A place in the queue is a change, too, and is noted when the queue is looked at."""
            last = (await rest.send("GET", "/session/waits-4")).json()
            return "Fourth in the queue." in last["statusInfo"]

        await until(place)
        everything, count = await page(100, 0)
        assert count == 6
        assert sorted(everything) == ["holder", *names]
        pages = [await page(2, offset) for offset in (0, 2, 4, 6)]
        assert [name for names, _ in pages for name in names] == everything
        assert {count for _, count in pages} == {6}
        assert await page(10, 0, "CANCELLED") == (["waits-2"], 1)
        assert await page(10, 0, "pending,A_STATUS_OF_TOMORROW") == (
            [name for name in everything if name not in ("holder", "waits-2")],
            4,
        )
        assert await page(0, 0) == ([], 6)
        too_many = {"limit": 10**6, "offset": 0}
        errors = (await rest.send("POST", "/admin/gql", {"query": LIST, "variables": too_many})).json()[
            "errors"
        ]
        assert "limit must be between 0 and 1000" in errors[0]["message"]


async def test_restart_of_one_that_cannot_start_again(
    rest: Rest, service: SessionService, tmp_path: Path
) -> None:
    """Its interpreter went away meanwhile: that is said, and it keeps running."""
    interpreter = tmp_path / "python"
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    interpreter.chmod(0o755)
    made = await rest.send("POST", "/session", spec("was-there", lang=str(interpreter), enqueueOnly=False))
    assert made.json()["status"] == "RUNNING", made.text
    interpreter.unlink()
    refused = await rest.send("PATCH", "/session/was-there")
    assert refused.status_code == 500
    assert f"'was-there' keeps running, because it could not be started again: {interpreter}" in refused.text
    row = await service.get("local", made.json()["sessId"])
    assert (row.status, row.restarts) == ("RUNNING", 0)
    assert await says(service, row, "print(6 * 7)") == "42"


async def test_a_change_is_told_when_it_comes(rest: Rest, service: SessionService) -> None:
    answer = (await rest.send("POST", "/session", spec("changing"))).json()
    row = await reach(service, await service.get("local", answer["sessionId"]), "RUNNING")
    assert row.status_changed is not None
    seen = httpx.QueryParams(seen=row.status_changed.isoformat(), name=row.name, within=20)
    target = f"/jupyter-sessions/sessions/{row.id}/change?"
    began = time.monotonic()
    assert (await rest.send("GET", f"{target}{seen.set('name', 'other')}")).status_code == 204
    assert (await rest.send("GET", f"{target}{seen.set('within', 0.2)}")).status_code == 204
    held = asyncio.create_task(rest.send("GET", f"{target}{seen}"))
    await asyncio.sleep(0.3)
    assert not held.done()
    await service.destroy("local", row.id, forced=True)
    assert (await held).status_code == 204
    assert time.monotonic() - began < 15
    problem(await rest.send("GET", f"{target}within=soon"), 400, "invalid-api-params")
    assert (await rest.send("GET", "/jupyter-sessions/sessions/nobody/change")).status_code == 404
