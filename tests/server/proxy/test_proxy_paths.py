"""Paths arrive as they were sent and never lead out of a service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from jupyter_sessions.wire.proxy.target import climbs

if TYPE_CHECKING:
    from conftest import FakeServices, Proxy

    from jupyter_sessions.model import Endpoint

SAME = [
    "echo/a%2Fb",
    "echo/%2f%2F%25%00",
    "echo//double///slash/",
    "echo/a/../b",
    "echo/a/./b/..",
    "echo/%C3%BC/~!$&'()*+,;=:@",
    "echo/a%20b?c=%2F&d=%26",
    'echo/"<>^`{|}\\',
    "echo?",
    "echo/http://evil.example/",
    "echo/?url=http://evil.example/../../..",
    "%65cho/..%2fx",
]
OUT = [
    "..",
    "../",
    "../other/",
    "../../../../../../api/contents",
    "a/../../b",
    "%2e%2e/x",
    ".%2E/x",
    "a/%2e%2e/%2e%2e/x",
    "..%2fx",
    "..%5cx",
    "..\\x",
    "a%2f..%2f..%2fx",
    "%252e%252e/x",
    "%252e%252e%252fx",
    "..;/x",
    "..;a=b/x",
    "//../x",
    "./../x",
]


async def target(proxy: Proxy, path: str) -> tuple[int, str | None]:
    """Status, and the target that the service saw."""
    answer = await proxy.raw(f"GET {path} HTTP/1.1")
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    return status, json.loads(body)["target"] if status == 200 else None


@pytest.mark.parametrize("path", SAME)
async def test_bytes_stay_as_they_are(proxy: Proxy, path: str) -> None:
    sent = proxy.prefix() + path
    assert await target(proxy, sent) == (200, sent.rstrip("?"))


@pytest.mark.parametrize("path", OUT)
async def test_nothing_leads_out(proxy: Proxy, services: FakeServices, path: str) -> None:
    answer = await proxy.raw(f"GET {proxy.prefix()}{path} HTTP/1.1")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"reason": "BadPath"' in answer
    assert services.opened == []


async def test_raw_bytes_and_fragments_are_encoded(proxy: Proxy) -> None:
    sent = proxy.prefix() + "echo/ü#x".encode().decode("latin1")
    assert await target(proxy, sent) == (200, proxy.prefix() + "echo/%C3%BC%23x")


@pytest.mark.parametrize(
    "path",
    [
        "http://evil.example/jupyter-sessions/services/local/s/tiny/",
        "http://127.0.0.1{prefix}",
        "//evil.example{prefix}",
        "/jupyter-sessions/services/local/s/tiny/",
        "/a%40b/jupyter-sessions/services/../0123-session/tiny/echo",
        "/a%40b/jupyter-sessions/services/local/../tiny/echo",
        "/a%40b/jupyter-sessions/services/local/0123-session/../echo",
        "/a%40b/jupyter-sessions/services/local/0123-session/.../echo",
        "/a%40b/jupyter-sessions/services/local/0123-session/ti%2Fny/echo",
        "/a%40b/jupyter-sessions/services/local/0123%2Fsession/tiny/echo",
        "/a%40b/jupyter-sessions/services/local/x.y/tiny/echo",
        "/a%40b/jupyter-sessions/services/local//tiny/echo",
        "/a%40b/jupyter-sessions/services/loc\xe4l/x/tiny/echo",
        "/a%40b//jupyter-sessions/services/local/x/tiny/echo",
    ],
)
async def test_other_forms_of_a_target_reach_nothing(proxy: Proxy, services: FakeServices, path: str) -> None:
    path = path.replace("{prefix}", proxy.prefix())
    answer = await proxy.raw(f"GET {path} HTTP/1.1")
    assert answer.split()[1] in (b"400", b"403", b"404")
    assert services.opened == []


async def test_names_with_dots_and_dashes(proxy: Proxy, services: FakeServices, tiny: Endpoint) -> None:
    services.endpoints["code-server_4.1"] = tiny
    answer = await proxy.fetch("echo", service="code-server_4.1")
    assert answer.status == 200
    assert services.opened[0][2] == "code-server_4.1"


async def test_a_path_that_looks_like_the_prefix(proxy: Proxy) -> None:
    sent = proxy.prefix() + "echo" + proxy.prefix() + "x"
    assert await target(proxy, sent) == (200, sent)


def test_climbing_counts_segments() -> None:
    assert not climbs("/a/b/../../c")
    assert climbs("/a/b/../../../c")
    assert not climbs("/...../..a/a..")
