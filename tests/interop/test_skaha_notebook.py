"""The way to a session's notebook server, with a tiny service in the place of JupyterLab."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psutil
import pytest
import pytest_asyncio

from tests.manager.skaha.test_skaha import Face
from tests.manager.world import V8, Rest, until

TINY = str(Path(__file__).parent.parent / "resources" / "tiny_service.py")
PAGE = {"Accept": "text/html"}


class Visitor:
    """A browser that was let in."""

    def __init__(self, face: Face, row: dict[str, Any]) -> None:
        self.face, self.row = face, row
        self.origin = face.contact.url
        self.path = f"/skaha/session/notebook/{row['id']}/"
        self.secret = row["connectURL"].partition("token=")[2]
        self.cookie = f"skaha-{row['id']}={self.secret}"
        self.headers = {"Cookie": self.cookie, "Origin": self.origin}
        self.http = httpx.AsyncClient(trust_env=False, timeout=30)

    async def get(self, what: str, **headers: str) -> httpx.Response:
        return await self.http.get(f"{self.origin}{self.path}{what}", headers=self.headers | headers)

    async def post(self, what: str, content: Any) -> httpx.Response:
        return await self.http.post(f"{self.origin}{self.path}{what}", headers=self.headers, content=content)


async def visitor(face: Face, rest: Rest, name: str) -> Visitor:
    launch = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "env": {},
        "cwd": "/",
        "services": {"jupyter": [sys.executable, TINY, "--socket", "{socket}"]},
    }
    config = {"launch": launch, "resources": {"cpu": "0.5", "mem": "256m"}}
    made = await rest.send("POST", "/session", {"name": name, "image": "python3", "config": config})
    assert made.status_code == 201, made.text

    async def there() -> Visitor | None:
        rows = (await face.http.get("/session?status=running")).json()
        return next((Visitor(face, row) for row in rows if row["name"] == name), None)

    found: Visitor = await until(there)
    return found


@pytest_asyncio.fixture
async def rest(machine: Path) -> AsyncIterator[Rest]:
    face = Face()
    async with Rest(V8) as made:
        yield made
    await face.http.aclose()


@pytest_asyncio.fixture
async def tiny(rest: Rest) -> AsyncIterator[Visitor]:
    face = Face()
    made = await visitor(face, rest, "tiny")
    yield made
    await made.http.aclose()
    await face.http.aclose()


@pytest.mark.asyncio
async def test_requests_and_answers(tiny: Visitor) -> None:
    answer = await tiny.get(
        "echo?a=1&token=x&b=%20", Authorization="Bearer y", Cookie=f"{tiny.cookie}; mine=1; _xsrf=2"
    )
    facts = answer.json()
    assert facts["target"] == f"{tiny.path}echo?a=1&b=%20"
    header = {name.lower(): value for name, value in facts["headers"]}
    assert header["cookie"] == "mine=1" and "authorization" not in header
    assert header["host"] == tiny.origin.removeprefix("http://") and tiny.secret not in answer.text
    by_token = await tiny.http.get(f"{tiny.origin}{tiny.path}echo?token={tiny.secret}&a=1")
    assert by_token.json()["target"].endswith("/echo?a=1") and tiny.secret not in by_token.text
    assert tiny.cookie in by_token.headers["Set-Cookie"]

    fields = [
        ["Set-Cookie", "a=1; Path=/; Domain=x"],
        ["Set-Cookie", f"{tiny.cookie.partition('=')[0]}=evil"],
    ]
    fields += [["Location", "/x"], ["Clear-Site-Data", '"*"'], ["X-Own", "y"]]
    answer = await tiny.get(f"answer?fields={json.dumps(fields)}")
    assert answer.headers.get_list("Set-Cookie") == [f"a=1; Path={tiny.path}"]
    assert "Clear-Site-Data" not in answer.headers and answer.headers["X-Own"] == "y"
    assert (await tiny.get("redirect")).status_code == 302  # Passed on, not followed.
    assert (await tiny.get("status?code=304")).status_code == 304
    assert (await tiny.get("gzip")).text == "hello " * 1000
    assert (await tiny.get("ranged", Range="bytes=2-4")).text == "234"
    assert len((await tiny.get("big?mib=40")).content) == 40 << 20
    body = os.urandom(40 << 20)  # More than the API takes.
    got = (await tiny.post("upload", body)).json()
    assert (got["length"], got["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    for what in ("cut", "cut?length"):
        with pytest.raises(httpx.RemoteProtocolError):
            await tiny.get(what)
    for what in ("hangup", "odd"):
        refused = await tiny.get(what)
        assert refused.status_code in (502, 503) and "notebook server" in refused.text
    async with tiny.http.stream("GET", f"{tiny.origin}{tiny.path}events", headers=tiny.headers) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "data: one"  # At once, and not at the end.
        await tiny.get("next")
        assert [await anext(lines), await anext(lines)] == ["", "data: two"]

    async def left() -> bool:
        return "events" in (await tiny.get("gone")).json()

    await until(left)


@pytest.mark.asyncio
async def test_websockets(tiny: Visitor) -> None:
    url = f"{tiny.origin}{tiny.path}socket"
    async with aiohttp.ClientSession() as session, asyncio.timeout(30):
        async with session.ws_connect(
            url, headers=tiny.headers, protocols=["v1.tiny", "other"], max_msg_size=0
        ) as socket:
            assert socket.protocol == "v1.tiny"
            await socket.send_str("hello")
            assert await socket.receive_str() == "hello"
            large = os.urandom(20 << 20)
            await socket.send_bytes(large)
            assert await socket.receive_bytes() == large
            await socket.send_str("facts")
            assert tiny.secret not in await socket.receive_str()
            await socket.send_str("close 4001 enough")
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE and socket.close_code == 4001
        async with session.ws_connect(url, headers=tiny.headers) as socket:
            await socket.close(code=4002)

        async def told() -> bool:
            return any(line.startswith("close 4002") for line in (await tiny.get("gone")).json())

        await until(told)
        async with session.ws_connect(f"{url}?token={tiny.secret}") as socket:  # A program without a browser.
            await socket.send_str("cut")
            assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        wrong: list[dict[str, str]] = [{}, {"Cookie": tiny.cookie}, tiny.headers | {"Origin": "http://evil"}]
        wrong += [{"Origin": tiny.origin, "Cookie": f"{tiny.cookie}x"}]
        for headers in wrong:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await session.ws_connect(url, headers=headers)
            assert caught.value.status == 403


@pytest.mark.asyncio
async def test_who_is_let_in(tiny: Visitor, rest: Rest) -> None:
    other = await visitor(tiny.face, rest, "another")
    assert other.secret != tiny.secret
    page = f"{tiny.origin}{tiny.path}echo"
    cross = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    wrong: list[dict[str, str]] = [
        {},
        {"Cookie": f"skaha-{tiny.row['id']}={other.secret}"},
        {"Cookie": other.cookie},
        {"Cookie": f"skaha-{tiny.row['id']}="},
        {"Cookie": tiny.cookie} | cross,
        {"Cookie": tiny.cookie, "Referer": "http://evil/"},
        {"Authorization": f"Bearer {tiny.face.contact.bearer()}"},
    ]
    for headers in wrong:
        answer = await tiny.http.get(page, headers=headers)
        assert (answer.status_code, answer.text.count("\n")) == (403, 1), headers
    for query in ("", "x", other.secret, "%00", "é"):
        assert (await tiny.http.get(f"{page}?token={query}")).status_code == 403
    follow = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"} | PAGE
    assert (await tiny.get("echo", **follow)).status_code == 200  # A link from elsewhere.
    assert (await tiny.http.get(page, headers={"Cookie": f"a=1; {tiny.cookie}"})).status_code == 200
    assert (await tiny.get("..%2f..%2f..%2fx")).status_code == 400
    first = await tiny.http.get(f"{page}?a=1&token={tiny.secret}&b", headers=PAGE)
    assert (first.status_code, first.headers["Location"]) == (302, f"{tiny.path}echo?a=1&b")
    await other.http.aclose()


@pytest.mark.asyncio
async def test_a_server_that_is_gone_is_started_again(tiny: Visitor, rest: Rest) -> None:
    def servers() -> set[int]:
        found = psutil.process_iter(["cmdline", "status"])
        alive = (one for one in found if one.info["status"] != psutil.STATUS_ZOMBIE)
        return {one.pid for one in alive if (one.info["cmdline"] or [])[1:2] == [TINY]}

    before = servers()
    assert (await tiny.get("echo")).status_code == 200
    (first,) = servers() - before
    os.kill(first, signal.SIGKILL)
    await until(lambda: first not in servers())
    assert (await tiny.get("echo")).status_code == 200

    async def back() -> bool:
        return (await tiny.get("echo")).status_code == 200

    assert first not in servers()
    restarted = await rest.send("PATCH", "/session/tiny")
    assert restarted.status_code == 204, restarted.text
    await until(back)
    await tiny.face.http.delete(f"/session/{tiny.row['id']}")
    assert (await tiny.get("echo")).status_code >= 400
