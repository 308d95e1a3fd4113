"""Whatever is sent: an answer that says what is wrong, and nothing comes of a request that is refused."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_sessions.wire.signing import Keypair
from tests.manager.hostile import ANY, CALM, HOLDER, ROUTES, SKAHA, TEXT, Attack, Target, attacked, attacks
from tests.manager.world import V5, V8

COUNT = st.integers(-1, 2**33)
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
LAUNCH_FIELDS = [
    "argv",
    "env",
    "cwd",
    "display_name",
    "language",
    "interrupt_mode",
    "services",
    "umask",
    "minimum",
]
SLOTS = ["cpu", "mem", "cuda.device", "cuda.devices", "shmem", "tpu", ""]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with attacked(tmp_path_factory.mktemp("hostile"), in_memory=True) as made:
        yield made


def test_every_route(target: Target) -> None:
    """A few requests of each kind; thousands are sent by tests/interop/test_fuzz.py."""

    @settings(CALM, max_examples=100)
    @given(attack=attacks(target.holder, [*ROUTES, *SKAHA]))
    def strike(attack: Attack) -> None:
        target.strike(attack)

    strike()


def test_what_was_once_not_refused_in_words(target: Target) -> None:
    at = f"/session/{target.holder}"
    own = {"argv": ["/bin/true"], "env": {}, "cwd": "/"}
    for method, where, body, headers in [
        ("GET", "/session/x", b"", {"Authorization": "\xff"}),
        ("POST", "/auth", b"{}", {"Content-Encoding": "gzip"}),
        ("POST", f"{at}/complete", b"[]", {"Content-Encoding": "deflate"}),
        ("GET", f"/stream{at}/pty", b"", {}),
        ("GET", f"/stream{at}/tcpproxy?app=jupyterlab", b"", {}),
        ("POST", f"{at}/start-service", {"app": "jupyterlab", "arguments": '{"base_url": "/\\u0000"}'}, {}),
        ("POST", f"{at}/start-service", {"app": "jupyterlab", "arguments": '{"base_url": "x"}'}, {}),
        ("POST", "/session", {"image": "a\0b", "config": {"launch": own}}, {}),
        ("POST", "/session", {"config": {"launch": own | {"services": {"../x": ["true"]}}}}, {}),
        ("POST", "/session", {"callbackUrl": "http://localhost:0/"}, {}),
        ("POST", "/admin/graphql", _page(order=",".join(["name"] * 3000)), {}),
    ]:
        content = body if isinstance(body, bytes) else json.dumps(_NAMED | body).encode()
        answer = target.strike(Attack(where, method, where, content, headers=headers))
        assert answer.status_code in (400, 404), (where, answer.text)
    log = f"/jupyter-sessions/sessions/{target.holder}/service-log?app=%00"
    assert target.strike(Attack("", "GET", log)).json()["result"]["logs"] == ""
    many = json.dumps(_page(status="RUNNING," * 50_000)).encode()
    assert target.strike(Attack("", "POST", "/admin/graphql", many)).status_code == 200


def test_what_is_refused_is_no_access(target: Target) -> None:
    """It is refused late, after the session was found to run."""
    at = f"/session/{target.holder}"
    time.sleep(0.1)  # The idle clock has moved on since the session was last used.
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "x" * 22 + "=="}
    for method, where, body in [
        ("POST", at, {"mode": "x", "code": "1"}),
        ("POST", at, {"mode": "input", "code": "1"}),
        ("POST", at, {"mode": "continue", "runId": "none"}),
        ("POST", at, {"mode": "batch", "options": {"exec": 5}}),
        ("POST", f"{at}/upload", {}),
        ("GET", f"{at}/download", {"files": ["none.txt"]}),
        ("GET", f"{at}/download_single", {"file": "none.txt"}),
        ("GET", f"{at}/files", {"path": "/etc"}),
        ("POST", f"{at}/shutdown-service", {"service_name": "none"}),
        ("GET", f"/stream{at}/tcpproxy?app=none", {}),
    ]:
        headers = upgrade if where.startswith("/stream") else {}
        answer = target.strike(Attack(where, method, where, json.dumps(body).encode(), headers=headers))
        assert answer.status_code in (400, 404), (where, answer.text)


_NAMED = {"name": "fuzzed", "image": "python", "enqueueOnly": True}


def _page(**scope: str) -> dict[str, Any]:
    query = "query($order: String, $status: String) { compute_session_list(limit: 9, offset: 0, order: $order, status: $status) { total_count } }"
    return {"query": query, "variables": scope}


def test_no_route_leads_to_another_keys_session(target: Target) -> None:
    """Be it by id or by name, with or without the owner's key named."""
    made = target.send("POST", "/admin/keys", b'{"role": "admin", "domain": "elsewhere"}').json()
    stranger = Keypair(made["access_key"], made["secret_key"])
    target.settle()
    owner = f"?owner_access_key={target.contact.keypair.access_key}"
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    upgrade |= {"Sec-WebSocket-Key": "x" * 22 + "=="}
    for route in ROUTES:
        for ref in (target.holder, HOLDER) if "{ref}" in route.path else ():
            for query in ("", owner):
                headers = upgrade if route.path.startswith("/stream") else {}
                where = route.path.replace("{ref}", ref) + query
                method = "GET" if route.method == "*" else route.method
                answer = target.send(method, where, b"{}", headers=headers, keypair=stranger)
                allowed = (404, 501) if not query else (400, 403, 404, 501)
                assert answer.status_code in allowed, (where, answer.text)
                assert ref == target.holder or target.holder not in answer.text, (where, answer.text)
    target.settle()
    assert [row[2] for row in target.rows() if row[0] == target.holder] == ["RUNNING"]


def test_create_with_anything_anywhere(target: Target) -> None:
    launch = {"argv": ["/bin/true"], "env": {}, "cwd": "/"}

    @settings(CALM, max_examples=100)
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
        before = len(target.rows())
        answer = target.send("POST", "/session", content, version)
        assert answer.status_code in (200, 201, 400, 404, 406, 412), (answer.text, content)
        assert answer.json().keys() >= ({"sessId"} if answer.status_code < 300 else {"type", "title", "msg"})
        assert len(target.rows()) == before + (answer.status_code == 201), content
        if answer.status_code < 300:
            assert target.send("DELETE", f"/session/{answer.json()['sessionId']}").status_code == 204

    create()


def test_queries(target: Target) -> None:
    query = """query($limit: Int!, $offset: Int!, $filter: String, $order: String, $group: UUID) {
      compute_session_list(limit: $limit, offset: $offset, filter: $filter, order: $order, group_id: $group) {
        total_count } }"""

    @settings(CALM, max_examples=100)
    @given(
        text=TEXT | st.just(query),
        variables=ANY
        | st.fixed_dictionaries({"limit": ANY, "offset": ANY})
        | st.fixed_dictionaries({"limit": COUNT, "offset": COUNT, "filter": ANY, "order": ANY, "group": ANY}),
        path=st.sampled_from(["/admin/gql", "/admin/graphql"]),
        name=ANY,
    )
    def ask(text: str, variables: object, name: object, path: str) -> None:
        body = {"query": text, "variables": variables, "operationName": name}
        answer = target.send("POST", path, json.dumps(body).encode())
        assert answer.status_code in (200, 400), (answer.text, body)
        assert answer.status_code == 400 or answer.json().keys() & {"data", "errors", "compute_session_list"}
        assert "Traceback" not in answer.text

    ask()
    deep = {"query": "{ a" * 20_000}
    assert target.send("POST", "/admin/gql", json.dumps(deep).encode()).status_code in (200, 400)


def test_two_that_ask_for_one_name_at_once(target: Target) -> None:
    """One is made, all get it."""

    async def both() -> list[httpx.Response]:
        body = msgspec.json.encode({"name": "same-name", "image": "python", "enqueueOnly": True})
        return await asyncio.gather(
            *(asyncio.to_thread(target.send, "POST", "/session", body) for _ in range(6))
        )

    before = len(target.rows())
    answers = asyncio.run(both())
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [201]
    assert len({answer.json()["sessId"] for answer in answers}) == 1
    assert len(target.rows()) == before + 1
    target.settle()


_OWN = {"argv": ["/bin/true"], "env": {}, "cwd": "/"}
_VARIABLES = {f"V{number}": "" for number in range(1001)}
_TOO_MUCH: list[tuple[dict[str, Any], str]] = [
    ({"config": {"environ": _VARIABLES}}, "1,000 variables"),
    ({"config": {"mounts": ["data"] * 101}}, "100 entries"),
    ({"config": {"mount_map": dict.fromkeys(_VARIABLES, "")}}, "100 entries"),
    ({"config": {"preopen_ports": [*range(2000, 2101)]}}, "100 entries"),
    ({"config": {"resources": dict.fromkeys(_VARIABLES, 1)}}, "100 entries"),
    ({"config": {"resource_opts": {"a": {"b": [0] * 101}}}}, "100 entries"),
    ({"config": {"launch": _OWN | {"argv": ["a"] * 101}}}, "100 entries"),
    ({"config": {"launch": _OWN | {"services": {"a": ["a"] * 101}}}}, "100 entries"),
    ({"dependencies": [HOLDER] * 101}, "100 entries"),
    ({"dependencies": ",".join([HOLDER] * 101)}, "100 entries"),
    ({"tag": "x" * 2**20}, "1 MiB"),
    ({"config": {"environ": {"A": "x" * 2**20}}}, "1 MiB"),
]


def test_a_spec_is_of_bounded_size(target: Target) -> None:
    """On the session API, the kernel API and the Skaha API; what is just within the bounds is taken."""
    for fields, said in _TOO_MUCH:
        content = json.dumps(_NAMED | fields).encode()
        for path in ("/session", "/kernel"):
            answer = target.strike(Attack("", "POST", path, content))
            assert answer.status_code == 400, (fields.keys(), answer.text)
            assert said in answer.json()["msg"], answer.text
    names = [("name", "fuzzed"), ("image", "python"), ("cmd", "true")]
    many = urlencode([*names, *[("env", f"{name}=") for name in _VARIABLES]]).encode()
    parts = "".join(
        f'--x\r\nContent-Disposition: form-data; name="env"\r\n\r\nV{number}={"x" * 2000}\r\n'
        for number in range(600)
    )
    form, multipart = "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"
    for content, kind in [
        (many, form),
        (urlencode([*names, ("env", "A=" + "x" * 2**20)]).encode(), form),
        (parts.encode() + b"--x--\r\n", multipart),
    ]:
        answer = target.strike(Attack("", "POST", "/skaha/v1/session", content, kind=kind))
        assert answer.status_code == 400, answer.text
    del _VARIABLES["V0"]
    ok = json.dumps(_NAMED | {"config": {"environ": _VARIABLES, "mounts": []}}).encode()
    assert target.strike(Attack("", "POST", "/session", ok)).status_code == 201


def test_a_large_spec_stops_nobody(target: Target) -> None:
    """It is not decoded: so many variables would take a second and a gigabyte."""
    start = json.dumps(_NAMED).encode()[:-1]
    many = start + b', "config": {"environ": {' + b'"V": "",' * 1_500_000 + b'"W": ""}}}'
    answer = target.strike(Attack("", "POST", "/session", many))
    assert answer.status_code == 400
    assert "1 MiB" in answer.json()["msg"]


def test_what_is_nested_too_deep(target: Target) -> None:
    at = f"/session/{target.holder}"
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        for depth in (65, 5000):
            deep = opening * depth + "1" + closing * depth
            for body in (
                f'{{"code": "1", "mode": "query", "options": {deep}}}',
                f'{{"name": "fuzzed", "image": "python", "config": {{"resource_opts": {deep}}}}}',
            ):
                where = at if "query" in body else "/session"
                answer = target.strike(Attack("", "POST", where, body.encode()))
                assert answer.status_code == 400, answer.text
                assert "64 deep" in answer.json()["msg"], answer.text
    for depth in (100, 1000):
        query = json.dumps({"query": "{ a " * depth + "}" * depth, "variables": {}})
        for path in ("/admin/gql", "/admin/graphql"):
            answer = target.send("POST", path, query.encode())
            assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize("depth", [200, 1800])
def test_an_upload_into_folders_without_end(target: Target, depth: int) -> None:
    name = "A/" * depth + "f"
    content = (
        f'--x\r\nContent-Disposition: form-data; name="src"; filename="{name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\ntext\r\n--x--\r\n"
    )
    where, kind = f"/session/{target.holder}/upload", "multipart/form-data; boundary=x"
    answer = target.strike(Attack("", "POST", where, content.encode(), kind=kind))
    assert answer.status_code == 400, answer.text
    assert "folder" in answer.json()["msg"]


@pytest.mark.parametrize("length", ["4, 4", "4,5", "+4", "-1", "4_0", "0x4", "9" * 30])
def test_a_length_that_is_no_number(target: Target, length: str) -> None:
    url = httpx.URL(target.contact.url)
    with socket.create_connection((url.host, url.port or 80), timeout=10) as raw:
        raw.sendall(f"POST /session HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n1234".encode())
        status = raw.makefile("rb").readline().split()[1]
    assert status in (b"400", b"401")
