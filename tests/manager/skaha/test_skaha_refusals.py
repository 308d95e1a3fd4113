"""What the Skaha face refuses, and to whom; whatever is sent, it stays calm."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_sessions.backends import local
from jupyter_sessions.manager.skaha import routes
from jupyter_sessions.wire.signing import Keypair
from tests.manager.hostile import CALM, TEXT
from tests.manager.skaha.test_skaha import IMAGE, SMALL, Face, gone
from tests.manager.skaha.test_skaha import face as face  # The fixture.
from tests.manager.world import V8, Rest, configure, until

pytestmark = pytest.mark.in_memory

VOSI = "{http://www.ivoa.net/xml/VOSIAvailability/v1.0}"


def stored(state: Path) -> int:
    """How many sessions the manager keeps."""
    with sqlite3.connect(state / "sessions.db") as db:
        count: int = db.execute("SELECT count(*) FROM sessions").fetchone()[0]
    db.close()
    return count


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"image": ""}, "Missing parameter 'image'"),
        ({"image": "local/jupyter/none:1"}, "Choose from: local/"),
        ({"image": "local/jupyter/none:2"}, IMAGE),
        ({"image": sys.executable}, "There is no image"),
        ({"type": "odd"}, "Invalid session type: odd"),
        ({"type": "carta"}, "Invalid session type: carta"),
        ({"cores": "x"}, "Invalid value for 'cores': x"),
        ({"cores": "1e99"}, "Invalid value for 'cores': 1e99"),
        ({"cores": "4096"}, "You asked for 4096 CPU"),
        ({"ram": "0"}, "'0' is not between 1 byte and 8 EiB"),
        ({"gpus": "0.5"}, "Invalid value for 'gpus': 0.5"),
        ({"gpus": "99"}, "This machine has no GPU."),
        ({"name": ""}, "Missing parameter 'name'"),
        ({"name": "a_b"}, "name can only contain alpha-numeric chars and '-'"),
        ({"name": "---"}, "name can only contain alpha-numeric chars and '-'"),
        ({"env": "A"}, "Invalid value for 'env': A"),
        ({"cmd": ""}, "Missing parameter 'cmd'"),
        ({"cmd": "a\0b"}, "zero byte"),
    ],
)
async def test_what_cannot_be_made(face: Face, asked: dict[str, str], said: str) -> None:
    good = {"name": "no", "image": IMAGE, "cmd": "true"}
    answer = await face.http.post("/session", params=good | asked)
    assert answer.status_code == 400 and said in answer.text, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain") and answer.text.count("\n") == 1
    assert "no" not in await face.names()


@pytest.mark.asyncio
async def test_addresses(face: Face) -> None:
    for path in (
        "/v0/session",
        "/v1/session/",
        "//v1//session",
        "/v1/context",
        "/v0/repository/",
        "/v1/image",
    ):
        answer = await face.http.get(f"{face.root}{path}")
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json", path
    wrong = {
        ("GET", "/v2/session"): (404, "There is nothing at /skaha/v2/session."),
        ("GET", "/v1/session/zzzzzzzz"): (404, "session ID not found."),
        ("GET", "/v1/session/zzzzzzzz?view=events"): (404, "session ID not found."),
        ("GET", "/v1/session/zzzzzzzz?view=logs"): (200, ""),
        ("GET", "/v1/session/a/b/c/d"): (400, "Invalid request: /skaha/v1/session/a/b/c/d."),
        ("GET", "/v1/image?type=odd"): (400, "unknown type: odd."),
        ("DELETE", "/v1/session"): (400, "Cannot kill all sessions."),
        ("POST", "/v1/session/zzzzzzzz"): (400, "Cannot modify an existing session."),
        ("POST", "/v1/session/zzzzzzzz?action=x"): (400, "unrecognized action: x."),
        ("PUT", "/v1/session"): (405, "PUT is not supported for /skaha/v1/session."),
        ("GET", "/v1/session/zzzzzzzz/app"): (200, "[]"),
        ("POST", "/v1/session/zzzzzzzz/app"): (404, "There is no desktop session with this ID."),
    }
    for (method, path), (status, said) in wrong.items():
        answer = await face.http.request(method, f"{face.root}{path}")
        assert (answer.status_code, answer.text.strip()) == (status, said), (method, path)
    refused = await face.http.post("/session/zzzzzzzz?action=renew")
    assert refused.status_code == 400 and "No active job for user" in refused.text
    assert (await face.http.put("/session")).headers["Allow"] == "DELETE, GET, POST"
    (image,) = [row for row in (await face.http.get("/image")).json() if row["id"] == IMAGE]
    assert image["digest"].startswith("sha256:") and "headless" in image["types"]
    long = {"name": "no", "image": "x", "env": "A=" + "x" * 60_000}
    assert "There is no image" in (await face.http.post("/session", params=long)).text


@pytest.mark.asyncio
async def test_nobody_gets_in_without_a_token(face: Face) -> None:
    key = face.contact.keypair
    wrong = [
        "",
        "Bearer",
        "Bearer .",
        f"Basic {face.contact.bearer()}",
        f"Bearer {key.access_key}",
        "Bearer é.ü",
    ]
    wrong += [
        f"Bearer {face.contact.bearer()[:-1]}",
        f"Bearer {face.contact.bearer(Keypair(key.access_key, 'x'))}",
        "Bearer nobody.0",
    ]
    paths = ["/v0/session", "/v1/session/aaaaaaaa", "/v1/session?view=stats", "/v1/context", "/v1/image"]
    paths += ["/v1/repository", "/v1/session/a/app", "/v1/session/a/app/b", "/v1/session/a/b/c/d", "/x", ""]
    async with httpx.AsyncClient(trust_env=False) as http:
        for path in paths:
            for method in ("GET", "POST", "DELETE"):
                answer = await http.request(method, face.root + path)
                assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
        for given_ in wrong:
            answer = await http.get(f"{face.root}/v1/session", headers={"Authorization": given_.encode()})
            assert (answer.status_code, answer.headers["Content-Type"][:10]) == (401, "text/plain"), given_
        for path in ("/session", "/admin/keys", "/v1/session"):  # A token is for this face alone.
            answer = await http.get(
                face.contact.url + path, headers={"Authorization": f"Bearer {face.contact.bearer()}"}
            )
            assert answer.status_code in (400, 401)
        up = await http.get(f"{face.root}/availability")
        root = ET.fromstring(up.text)
        assert root.findtext(f"{VOSI}available") == "true" and root.findtext(f"{VOSI}note")
        able = ET.fromstring((await http.get(f"{face.root}/capabilities")).text)
        standard = "http://www.opencadc.org/std/platform#session-1"
        (interface,) = able.findall(f"capability[@standardID='{standard}']/interface")
        assert interface.findtext("accessURL") == f"{face.root}/v1"
        assert (await http.get(f"{face.root}/session/notebook/aaaaaaaa/lab?token=x")).status_code == 403
    async with Rest(V8) as rest:
        assert (await rest.send("GET", "/skaha/v1/session")).status_code == 401
    checked = {route.handler for route in routes.ROUTES}
    assert checked == routes.OPEN | routes.BEARER and not routes.OPEN & routes.BEARER


@pytest.mark.real
@pytest.mark.asyncio
async def test_a_key_has_its_own_sessions(face: Face) -> None:
    mine = await face.job("sleep", "600", name="mine")
    async with Rest(V8) as rest:
        made = (await rest.send("POST", "/admin/keys", {"email": "bo@lab.org"})).json()
        token = made["token"]
        other = Face(token)
        its = await other.job("sleep", "600", name="mine")
        assert await other.names() == ["mine"] == await face.names()
        assert (await other.get(its))["userid"] == "bo"
        assert len((await face.http.get("/session?view=all")).json()) == 2
        assert len((await other.http.get("/session?view=all")).json()) == 1
        assert (await other.http.get(f"/session/{mine}")).status_code == 404
        assert (await other.http.post(f"/session/{mine}?action=renew")).status_code == 400
        assert (await other.http.delete(f"/session/{mine}")).status_code == 200
        assert (await face.get(mine))["status"] in ("Pending", "Running")
        await other.http.delete(f"/session/{its}")
        await until(lambda: gone(other, its))
        await rest.send("DELETE", f"/admin/keys/{made['access_key']}")
        assert (await other.http.get("/session")).status_code == 401
        await other.http.aclose()


@pytest.fixture
def full(state: Path) -> Iterator[tuple[httpx.Client, Path]]:
    """A manager in which nothing can start, and a client with a token."""
    configure(state, max_sessions=1)
    there = local.start()
    headers = {"Authorization": f"Bearer {there.bearer()}"}
    with httpx.Client(base_url=there.url, headers=headers, timeout=30, trust_env=False) as client:
        holder = {"name": "holder", "image": IMAGE, "cmd": "sleep", "args": "600", **SMALL}
        assert client.post("/skaha/v1/session", params=holder).status_code == 200
        yield client, state


PARAMS = [
    "name",
    "image",
    "type",
    "kind",
    "cores",
    "RAM",
    "gpus",
    "cmd",
    "args",
    "env",
    "action",
    "view",
    "status",
    "x",
]


def test_whatever_is_sent(full: tuple[httpx.Client, Path]) -> None:
    client, state = full
    url = st.sampled_from(
        ["/session", "/session/zzzzzzzz", "/session/a/app", "/image", "/context", "//session//"]
    )
    bodies = st.none() | st.binary(max_size=40) | st.dictionaries(st.sampled_from(PARAMS), TEXT, max_size=3)
    types = [
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "a/b",
    ]

    @settings(CALM, max_examples=200)
    @given(
        method=st.sampled_from(["GET", "POST", "POST", "DELETE", "PATCH"]),
        path=url,
        query=st.dictionaries(st.sampled_from(PARAMS), TEXT, max_size=4),
        good=st.booleans(),
        body=bodies,
        kind=st.sampled_from(types),
        host=st.sampled_from(["127.0.0.1", "[", "a b", "x:99999", "é", "<&>", ""]),
    )
    @example("POST", "/session", {}, True, b"name=%ff&env=\xff", types[0], "")
    def send(
        method: str, path: str, query: dict[str, str], good: bool, body: Any, kind: str, host: str
    ) -> None:
        sent = ({"name": "fuzzed", "image": IMAGE, "cmd": "true"} if good else {}) | query
        headers = {"Content-Type": kind} | ({"Host": host} if host.isascii() else {})
        content = {"data": body} if isinstance(body, dict) else {"content": body}
        before = stored(state)
        answer = client.request(method, f"/skaha/v1{path}", params=sent, headers=headers, **content)
        assert answer.status_code < 500, (answer.text, sent, body)
        made = answer.status_code == 200 and method == "POST" and path.strip("/") == "session"
        assert stored(state) == before + made, (answer.text, sent)
        if answer.status_code >= 400:
            assert answer.headers["Content-Type"].startswith("text/plain")
            assert not answer.text.lstrip().startswith("{")
        if made:
            assert client.delete(f"/skaha/v1/session/{answer.text.strip()}").status_code == 200

    send()
    (row,) = client.get("/skaha/v1/session").json()
    assert row["name"] == "holder"
