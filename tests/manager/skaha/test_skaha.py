"""The Skaha face over HTTP: what becomes of sessions that are made there."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx
import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from jupyter_sessions.backends import local
from jupyter_sessions.backends.skaha.convert import session_of
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.skaha import events, lifetime
from tests.manager.records import make_record
from tests.manager.world import V8, Rest, kill_manager, until

IMAGE = f"local/jupyter/python:{sys.version_info[0]}.{sys.version_info[1]}"
SMALL = {"cores": "0.1", "ram": "0.125"}


class Face:
    """A person with a token."""

    def __init__(self, token: str = "", version: str = "v1") -> None:
        self.contact = local.find() or local.start()
        self.root = f"{self.contact.url}/skaha"
        headers = {"Authorization": f"Bearer {token or self.contact.bearer()}"}
        self.http = httpx.AsyncClient(
            base_url=f"{self.root}/{version}", headers=headers, timeout=60, trust_env=False
        )

    async def make(self, **asked: Any) -> str:
        answer = await self.http.post("/session", params={"name": "Demo", "image": IMAGE, **SMALL, **asked})
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("text/plain") and answer.text.endswith("\n")
        return answer.text.strip()

    async def job(self, cmd: str, args: str = "", **asked: Any) -> str:
        return await self.make(type="headless", cmd=cmd, args=args, **asked)

    async def get(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.http.get(f"/session/{id}")).json()
        return found

    async def text(self, id: str, view: str) -> str:
        return (await self.http.get(f"/session/{id}", params={"view": view})).text

    async def names(self, **asked: str) -> list[str]:
        return sorted(row["name"] for row in (await self.http.get("/session", params=asked)).json())

    async def reach(self, id: str, *statuses: str) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            row = await self.get(id)
            return row if row["status"] in statuses else None

        found: dict[str, Any] = await until(there, 60)
        return found


@pytest_asyncio.fixture
async def face(machine: Path) -> AsyncIterator[Face]:
    made = Face()
    for row in (await made.http.get("/session")).json():
        await made.http.delete(f"/session/{row['id']}")
    await until(lambda: _nothing(made))
    yield made
    await made.http.aclose()


async def _nothing(face: Face) -> bool:
    return await face.names() == []


@pytest.mark.asyncio
async def test_a_job_from_its_beginning_to_its_end(face: Face) -> None:
    shell = r"%s\n $HOME a;b `id` 'x \"y\" $(id)  last"
    env = ["REPLICA_ID=2", "WORD=a=b", "EMPTY="]
    said = await face.job("printf", shell, name="Job-A", env=env)
    row = await face.reach(said, "Completed", "Failed")
    assert row["status"] == "Completed", await face.text(said, "logs")
    words = ["$HOME", "a;b", "`id`", "'x", r"\"y\"", "$(id)", "", "last"]
    assert await face.text(said, "logs") == "".join(f"{word}\n" for word in words)
    assert (row["id"], row["name"], row["type"], row["image"]) == (said, "job-a", "headless", IMAGE)
    assert row["requestedCPUCores"] == "0.1" and row["connectURL"] == "" and row["isFixedResources"] is True
    begin, end = (datetime.fromisoformat(row[name]) for name in ("startTime", "expiryTime"))
    assert abs(end - begin - timedelta(days=14)) < timedelta(minutes=1)
    assert session_of(row, "lab").resources["cpu"] == "0.1"

    head, *lines = (await face.text(said, "events")).splitlines()
    assert head.split() == ["TYPE", "REASON", "MESSAGE", "FIRST-TIME", "LAST-TIME"]
    cells = [[cell for cell in line.split("  ") if cell] for line in lines]
    assert {len(line) for line in cells} == {5} and "Started" in [line[1].strip() for line in cells]

    seen = await face.job("env", env=env)
    await face.reach(seen, "Completed")
    assert {"REPLICA_ID=2", "WORD=a=b", "EMPTY=", f"skaha_sessionid={seen}"} <= set(
        (await face.text(seen, "logs")).splitlines()
    )
    for program in ("exit", "A=B", "no'such", "-c"):  # Nothing of the shell's own.
        failed = await face.job(program, "0", name="bad")
        if (await face.reach(failed, "Completed", "Failed"))["status"] == "Completed":
            assert program == "exit"
    assert await face.names(status="error", type="HEADLESS") == ["bad"] * 3


@pytest.mark.asyncio
async def test_lists_and_deletes(face: Face) -> None:
    done, long = await face.job("true", name="done"), await face.job("sleep", "600", name="Long")
    await face.reach(done, "Completed")
    await face.reach(long, "Running")
    async with Rest(V8) as rest:
        query = {"query": "{ compute_session_list(limit: 9, offset: 0) { items { name status } } }"}
        items = (await rest.send("POST", "/admin/gql", query)).json()["data"]["compute_session_list"]["items"]
        assert f"long-{long}" in [item["name"] for item in items if item["status"] == "RUNNING"]
        made = await rest.send("POST", "/session", {"name": "other", "image": "python", "enqueueOnly": True})
        assert "other" in await face.names(type="notebook")
        await rest.send("DELETE", f"/session/{made.json()['sessionId']}")
        await until(lambda: gone(face, skaha_id(made.json()["sessionId"])))
    for status in ("Succeeded", "completed"):
        assert await face.names(status=status) == ["done"]
    assert await face.names(kind="headless", status="Running") == ["long"]
    assert await face.names(status="Odd") == [] == await face.names(type="desktop")
    assert "long" not in await face.names(view="interactive")
    every = (await face.http.get("/session", params={"view": "all", "status": "Running"})).json()
    assert [sorted(row) for row in every] == [["startTime", "status", "type", "userid"]]
    stats = (await face.http.get("/session?view=stats")).json()
    assert stats["instances"]["headless"] == 1 and stats["cores"]["requestedCPUCores"] == 0.1
    for _ in range(2):
        answer = await face.http.delete(f"/session/{done}")
        assert (answer.status_code, answer.text) == (200, "")
    assert (await face.http.delete(f"/session/{long}")).status_code == 200
    assert (await face.http.delete("/session/zzzzzzzz")).status_code == 200
    await until(lambda: gone(face, long))
    assert (await face.http.get(f"/session/{done}")).status_code == 404
    assert await face.text(done, "logs") == ""


async def gone(face: Face, id: str) -> bool:
    return (await face.http.get(f"/session/{id}")).status_code == 404


@pytest.mark.asyncio
async def test_a_session_that_came_to_its_end_by_a_limit_has_failed(face: Face) -> None:
    config = {"resources": {"cpu": "0.5", "mem": "128m"}, "time_limit": 0.5, "idle_timeout": 0}
    async with Rest(V8) as rest:
        made = await rest.send("POST", "/session", {"name": "short", "image": "python", "config": config})
    row = await face.reach(skaha_id(made.json()["sessionId"]), "Completed", "Failed")
    assert (row["status"], row["name"], row["type"]) == ("Failed", "short", "notebook")
    assert "time-limit" in await face.text(row["id"], "events") and row["connectURL"] == ""


@pytest.mark.asyncio
async def test_a_notebook_runs_when_its_page_answers(face: Face) -> None:
    form = {"name": "Note", "image": "images.canfar.net/jupyter/python", "kind": "notebook", "RAM": "0.5"}
    said = (await face.http.post("/session", data=form)).text.strip()
    first = await face.get(said)
    assert first["status"] == "Pending" and first["requestedRAM"] == "0.537"
    row = await face.reach(said, "Running", "Failed")
    assert datetime.fromisoformat(row["expiryTime"]) - datetime.now(UTC) > timedelta(days=3.9)
    url = row["connectURL"]
    origin, path = face.contact.url, f"/skaha/session/notebook/{said}/"
    assert url.startswith(f"{origin}{path}") and said not in urlsplit(url).query
    async with httpx.AsyncClient(base_url=f"{origin}{path}", trust_env=False, timeout=30) as browser:
        assert (await browser.get("api/status")).status_code == 403
        page = await browser.get(url, headers={"Accept": "text/html"})  # At once, without trying again.
        cookie = page.headers["Set-Cookie"]
        assert page.status_code == 302 and "token" not in page.headers["Location"]
        assert {f"Path={path}", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
        page = await browser.get(origin + page.headers["Location"], headers={"Accept": "text/html"})
        assert page.status_code == 200 and "<title>JupyterLab</title>" in page.text
        # Other sites and other paths have nothing of it.
        for headers in ({}, {"Origin": "http://evil"}, {"Origin": origin, "Sec-Fetch-Site": "same-site"}):
            assert (await browser.post("api/kernels", headers=headers)).status_code == 403
        assert (await browser.get(f"{origin}{path}..%2f..%2fx")).status_code in (400, 404)
        assert (await browser.get(f"{face.root}/v1/session")).status_code == 401
        made = await browser.post("api/kernels", headers={"Origin": origin})
        assert made.status_code == 201, made.text
        printed = await _run(f"{origin}{path}api/kernels/{made.json()['id']}/channels", cookie, origin)
        # The session's own environment, and nothing of what let us in.
        assert f"{said} False" in printed
    again = (await face.http.post(f"/session/{said}", params={"action": "Renew"})).status_code
    assert again == 200 and (await face.get(said))["expiryTime"] > row["expiryTime"]
    await kill_manager()
    local.start()
    after = Face()
    await after.reach(said, "Running")
    async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
        assert (await browser.get((await after.get(said))["connectURL"])).status_code == 200
        await after.http.delete(f"/session/{said}")
        assert (await browser.get(f"{after.root}/session/notebook/{said}/lab")).status_code in (400, 403, 404)
    await after.http.aclose()


async def _run(url: str, cookie: str, origin: str) -> str:
    """What code prints in a kernel of the notebook server, over its WebSocket."""
    header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "1", "version": "5.4"}
    code = "import os; print(os.environ['skaha_sessionid'], 'CANFAR_TOKEN' in os.environ)"
    message = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell"}
    sent = {"Cookie": cookie.partition(";")[0], "Origin": origin}
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url, headers=sent | {"Origin": "http://evil"})
        async with session.ws_connect(url, headers=sent) as socket, asyncio.timeout(30):
            await socket.send_json(message | {"content": {"code": code, "silent": False}})
            while (said := await socket.receive_json())["msg_type"] != "stream":
                pass
            return str(said["content"]["text"])


NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "hours", "there"),
    [
        ({"status": "RUNNING"}, 9999, True),
        ({"status": "TERMINATED", "type": "batch"}, 0.9, True),
        ({"status": "TERMINATED", "type": "batch"}, 1.1, False),
        ({"status": "TERMINATED"}, 23, True),
        ({"status": "TERMINATED"}, 25, False),
        ({"status": "ERROR"}, 25, False),
        ({"status": "TERMINATED", "hidden": True}, 0, False),
        ({"status": "TERMINATED", "status_info": "user-requested"}, 0, False),
        ({"status": "CANCELLED"}, 0, False),
    ],
)
def test_how_long_sessions_are_remembered(fields: dict[str, Any], hours: float, there: bool) -> None:
    record = msgspec.structs.replace(make_record(), changed=NOW - timedelta(hours=hours), **fields)
    assert lifetime.is_listed(record, NOW) is there


@given(st.uuids())
def test_ids(number: Any) -> None:
    made = skaha_id(str(number))
    assert len(made) == 8 and made.isascii() and made.isalnum() and made == made.lower() and made[0].isalpha()
    assert skaha_id(str(number)) == made


def test_no_message_breaks_the_table_of_events() -> None:
    assert events.table([]) == "<none>\n"
    record = make_record()
    record.status_info = "waiting  for\n\t2 CPU"
    record.stamp()
    _, line = events.table(events.of(record)).splitlines()
    assert "The session is waiting for 2 CPU  " in line
