"""Whatever is sent: an answer that says what is wrong, and nothing comes of a request that is refused."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_sessions.backends import local
from jupyter_sessions.wire.signing import headers_for
from tests.manager.test_starting import configure
from tests.manager.world import V5, V8

Send = Callable[..., httpx.Response]

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(max_size=30) | st.sampled_from(
    [
        "",
        "0",
        "-1",
        "nan",
        "inf",
        "1e400",
        "1e-400",
        "9" * 40,
        "4g",
        "0.5",
        "a\0b",
        "A=B",
        "../..",
        "python3",
        "²",
    ]
)
ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "name",
    "session_name",
    "clientSessionToken",
    "image",
    "lang",
    "type",
    "sessionType",
    "architecture",
    "group",
    "domain",
    "cluster_size",
    "clusterSize",
    "clusterMode",
    "tag",
    "enqueueOnly",
    "maxWaitSeconds",
    "reuseIfExists",
    "startsAt",
    "startupCommand",
    "bootstrapScript",
    "dependencies",
    "callbackUrl",
    "owner_access_key",
    "config",
]
CONFIG_FIELDS = ["environ", "resources", "resource_opts", "mounts", "preopen_ports", "launch", "clusterSize"]
LAUNCH_FIELDS = ["argv", "env", "cwd", "display_name", "language", "interrupt_mode", "services", "umask"]
SLOTS = ["cpu", "mem", "cuda.device", "cuda.devices", "shmem", "tpu", ""]


@pytest.fixture
def send(state: Path) -> Iterator[Send]:
    """Sends a signed request to a manager in which nothing can start."""
    configure(state, max_sessions=1)
    contact = local.start()
    with httpx.Client(base_url=contact.url, timeout=30, trust_env=False) as client:

        def send(method: str, target: str, content: bytes = b"", version: str = V5) -> httpx.Response:
            request = client.build_request(method, target, content=content)
            request.headers.update(
                headers_for(
                    contact.keypair,
                    method=method,
                    target=request.url.raw_path.decode(),
                    host=request.headers["Host"],
                    content_type="application/json",
                    version=version,
                )
            )
            request.headers["Content-Type"] = "application/json"
            return client.send(request)

        holder = {"name": "holder", "image": "python", "config": {"resources": {"cpu": "0.1"}}}
        made = send("POST", "/session", msgspec.json.encode(holder | {"enqueueOnly": True}))
        assert made.status_code == 201
        yield send


def rows(state: Path) -> int:
    with sqlite3.connect(state / "sessions.db") as db:
        count: int = db.execute("SELECT count(*) FROM sessions").fetchone()[0]
    db.close()
    return count


def test_create_with_anything_anywhere(send: Send, state: Path) -> None:
    launch = {"argv": ["/bin/true"], "env": {}, "cwd": "/"}

    @settings(CALM, max_examples=300)
    @given(
        fields=st.dictionaries(st.sampled_from(FIELDS), ANY, max_size=2),
        config=st.none() | st.dictionaries(st.sampled_from(CONFIG_FIELDS), ANY, max_size=2),
        slots=st.dictionaries(st.sampled_from(SLOTS), ANY, max_size=2),
        variables=st.dictionaries(TEXT, ANY, max_size=2),
        own=st.none() | st.dictionaries(st.sampled_from(LAUNCH_FIELDS), ANY, max_size=1),
        version=st.sampled_from([V5, V8]),
    )
    def create(
        fields: dict[str, Any],
        config: dict[str, Any] | None,
        slots: dict[str, Any],
        variables: dict[str, Any],
        own: dict[str, Any] | None,
        version: str,
    ) -> None:
        body: dict[str, Any] = {"name": "fuzzed", "image": "python"}
        if config is not None:
            parts: dict[str, Any] = {"resources": slots, "environ": variables}
            body["config"] = parts | ({} if own is None else {"launch": launch | own}) | config
        content = json.dumps(body | fields | {"enqueueOnly": True}).encode()
        before = rows(state)
        answer = send("POST", "/session", content, version)
        assert answer.status_code in (200, 201, 400, 404, 406, 412), (answer.text, content)
        assert answer.json().keys() >= ({"sessId"} if answer.status_code < 300 else {"type", "title", "msg"})
        assert rows(state) == before + (answer.status_code == 201), content
        if answer.status_code < 300:
            assert send("DELETE", f"/session/{answer.json()['sessionId']}").status_code == 204

    create()


def test_bodies_that_are_no_object(send: Send, state: Path) -> None:
    routes = [
        ("POST", "/session"),
        ("POST", "/session/holder"),
        ("POST", "/session/holder/start-service"),
        ("POST", "/admin/gql"),
    ]

    @settings(CALM, max_examples=100)
    @given(
        route=st.sampled_from(routes),
        content=st.binary(max_size=40) | ANY.map(lambda x: json.dumps(x).encode()),
    )
    def post(route: tuple[str, str], content: bytes) -> None:
        before = rows(state)
        answer = send(*route, content)
        assert answer.status_code < 500, (answer.text, content)
        assert rows(state) == before

    post()
    for route in routes:
        assert send(*route, b"[" * 100_000).status_code == 400
        assert send(*route, b'{"a":' * 100_000).status_code == 400
        assert send(*route, b'{"name": "\xff"}').status_code == 400


def test_paths_and_queries(send: Send, state: Path) -> None:
    actions = ["", "/interrupt", "/rename", "/logs", "/start-service", "/service-log", "/nothing"]

    @settings(CALM, max_examples=150)
    @given(
        method=st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]),
        ref=TEXT | st.just("holder"),
        action=st.sampled_from(actions),
        key=st.sampled_from(["name", "app", "forced", "x"]),
        value=TEXT,
    )
    def request(method: str, ref: str, action: str, key: str, value: str) -> None:
        if method == "DELETE" and ref == "holder":
            return
        url = (
            httpx.URL("http://localhost/").join(f"/session/{_quoted(ref)}{action}").copy_add_param(key, value)
        )
        answer = send(method, url.raw_path.decode())
        assert answer.status_code < 500, (answer.text, url)

    request()


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


def test_queries(send: Send, state: Path) -> None:
    query = "query($limit: Int!, $offset: Int!) { compute_session_list(limit: $limit, offset: $offset) { total_count } }"

    @settings(CALM, max_examples=100)
    @given(
        text=TEXT | st.just(query),
        variables=ANY | st.fixed_dictionaries({"limit": ANY, "offset": ANY}),
        name=ANY,
    )
    def ask(text: str, variables: object, name: object) -> None:
        body = {"query": text, "variables": variables, "operationName": name}
        answer = send("POST", "/admin/gql", json.dumps(body).encode())
        assert answer.status_code in (200, 400), (answer.text, body)
        assert answer.status_code == 400 or answer.json().keys() & {"data", "errors"}

    ask()
    deep = {"query": "{ a" * 20_000}
    assert send("POST", "/admin/gql", json.dumps(deep).encode()).status_code in (200, 400)


def test_two_that_ask_for_one_name_at_once(send: Send, state: Path) -> None:
    """One is made, all get it."""

    async def both() -> list[httpx.Response]:
        body = msgspec.json.encode({"name": "same-name", "image": "python", "enqueueOnly": True})
        return await asyncio.gather(*(asyncio.to_thread(send, "POST", "/session", body) for _ in range(6)))

    before = rows(state)
    answers = asyncio.run(both())
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.json()["sessId"] for answer in answers}) == 1
    assert rows(state) == before + 1
