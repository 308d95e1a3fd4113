"""What HTTP clients and services see of each other."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from jupyter_sessions.model import Endpoint

if TYPE_CHECKING:
    from conftest import Answer, FakeServices, Proxy

GZIP = {"Accept-Encoding": "gzip"}


async def test_passes_the_path_on_unstripped(proxy: Proxy, services: FakeServices) -> None:
    answer = await proxy.fetch("echo/a/b?x=1&y=%20+z")
    assert answer.status == 200
    assert answer.json["target"] == proxy.prefix() + "echo/a/b?x=1&y=%20+z"
    assert services.opened == [("local", "0123-session", "tiny", proxy.prefix())]


async def test_reaches_a_service_on_a_port(proxy: Proxy, services: FakeServices, tiny_tcp: Endpoint) -> None:
    services.endpoints["tiny"] = Endpoint(url=tiny_tcp.url + "/")
    answer = await proxy.fetch("echo?over=tcp")
    assert answer.json["target"].endswith("tiny/echo?over=tcp")
    assert answer.sent["host"] == proxy.host


async def test_a_service_that_sees_itself_at_the_root(
    proxy: Proxy, services: FakeServices, tiny_tcp: Endpoint
) -> None:
    services.endpoints["tiny"] = Endpoint(url=tiny_tcp.url, at_root=True)
    assert (await proxy.fetch("a/b?x=1&y=%20+z")).json["target"] == "/a/b?x=1&y=%20+z"
    assert (await proxy.fetch("")).json["target"] == "/"
    for given, seen in (
        ("/login?next=/a", proxy.prefix() + "login?next=/a"),
        ("elsewhere", "elsewhere"),
        ("//example.org/", "//example.org/"),
        ("https://example.org/", "https://example.org/"),
    ):
        fields = quote(json.dumps([["Location", given]]))
        answer = await proxy.fetch(f"services/0/1/2/answer?fields={fields}")
        assert answer.headers["Location"] == seen
    ws = await proxy.connect("services/0/1/2/socket")
    await ws.close()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_passes_every_method_with_its_body(proxy: Proxy, method: str) -> None:
    answer = await proxy.fetch("echo", method, data=b"\x00\xffbody")
    assert answer.json["method"] == method
    assert answer.json["body"].encode("latin1") == b"\x00\xffbody"
    assert answer.sent["content-length"] == "6"


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_an_empty_body_stays_empty(proxy: Proxy, method: str) -> None:
    answer = await proxy.fetch("echo", method)
    assert answer.json["body"] == ""
    assert "transfer-encoding" not in answer.sent


async def test_tells_the_service_who_asks(proxy: Proxy) -> None:
    spoofed = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Host": "evil", "Forwarded": "for=6.6.6.6"}
    spoofed |= {"X-Real-IP": "6.6.6.6", "X-Forwarded-Prefix": "/evil", "X-Original-URL": "/evil"}
    answer = await proxy.fetch(headers=spoofed)
    assert "evil" not in answer.body.decode() and "6.6.6.6" not in answer.body.decode()
    assert answer.sent["host"] == answer.sent["x-forwarded-host"] == proxy.host
    assert answer.sent["x-forwarded-proto"] == "http"
    assert answer.sent["x-forwarded-for"] == "127.0.0.1"


async def test_invents_no_request_fields(proxy: Proxy) -> None:
    raw = await proxy.raw(f"GET {proxy.prefix()}echo HTTP/1.1")
    sent = {name.lower() for name, _ in json.loads(raw.partition(b"\r\n\r\n")[2])["headers"]}
    assert sent == {"host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"}


async def test_drops_hop_by_hop_fields_upward(proxy: Proxy) -> None:
    hops = {"Connection": "close, X-Hop", "X-Hop": "1", "TE": "trailers", "Keep-Alive": "timeout=9"}
    hops |= {"Proxy-Authorization": "Basic eDp5", "Upgrade": "h2c", "X-End": "2"}
    sent = (await proxy.fetch(headers=hops)).sent
    assert sent["x-end"] == "2"
    assert not {"x-hop", "te", "keep-alive", "proxy-authorization", "upgrade"} & set(sent)
    assert "connection" not in sent


async def test_drops_hop_by_hop_fields_downward(proxy: Proxy) -> None:
    answer = await given(proxy, ["Connection", "X-Hop"], ["X-Hop", "1"], ["Keep-Alive", "t=1"])
    assert not {"X-Hop", "Keep-Alive"} & set(answer.headers)


async def test_the_services_own_fields_win(proxy: Proxy) -> None:
    fields = [["Server", "tiny/1"], ["Date", "Mon, 01 Jan 2024 00:00:00 GMT"]]
    fields += [["Content-Type", "text/x-tiny"], ["Cache-Control", "max-age=7"], ["ETag", '"z"']]
    answer = await given(proxy, *fields)
    assert [answer.headers.getall(name) for name, _ in fields] == [[value] for _, value in fields]


async def test_keeps_repeated_fields(proxy: Proxy) -> None:
    answer = await given(proxy, ["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"], ["Link", "<x>"])
    pairs = [line.split(";")[0] for line in answer.headers.getall("Set-Cookie")]
    assert pairs[:2] == ["a=1", "b=2"]


async def test_bytes_beyond_ascii_survive_in_fields(proxy: Proxy) -> None:
    name = 'attachment; filename="Grüße.txt"'
    raw = quote(json.dumps([["Content-Disposition", name]]))
    answer = await proxy.raw(f"GET {proxy.prefix()}answer?fields={raw} HTTP/1.1")
    assert name.encode() in answer
    echoed = await proxy.fetch(headers={"X-Name": "Grüße"})
    assert echoed.sent["x-name"].encode("latin1").decode() == "Grüße"


async def test_gzip_passes_undecoded_and_is_never_added(proxy: Proxy) -> None:
    answer = await proxy.fetch("gzip", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert gzip.decompress(answer.body) == b"hello " * 1000
    plain = await proxy.fetch(headers={"Accept-Encoding": "gzip"})
    assert plain.sent["accept-encoding"] == "gzip"


async def test_a_compressing_server_leaves_services_alone(proxy: Proxy) -> None:
    from tornado.web import GZipContentEncoding

    proxy.app.web_app.transforms = [GZipContentEncoding]
    answer = await proxy.fetch("answer?fields=[]&text=" + "x" * 5000, headers=GZIP)
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Content-Length"] == "5000"


async def test_redirects_are_not_followed(proxy: Proxy) -> None:
    answer = await proxy.fetch("redirect")
    assert answer.status == 302
    assert answer.headers["Location"] == "echo?from=redirect"


async def test_head_has_a_length_and_no_body(proxy: Proxy) -> None:
    answer = await proxy.fetch("ranged", "HEAD")
    assert (answer.headers["Content-Length"], answer.body) == ("10", b"")


async def test_range(proxy: Proxy) -> None:
    answer = await proxy.fetch("ranged", headers={"Range": "bytes=2-4"})
    assert (answer.status, answer.body) == (206, b"234")
    assert answer.headers["Content-Range"] == "bytes 2-4/10"


@pytest.mark.parametrize("code", [204, 304, 404, 418, 500])
async def test_statuses_pass(proxy: Proxy, code: Any) -> None:
    answer = await proxy.fetch(f"status?code={code}")
    assert (answer.status, answer.body) == (code, b"")
    assert answer.headers["ETag"] == '"v1"'
    assert "Content-Type" not in answer.headers or code not in (204, 304)


async def test_a_path_without_slash_is_redirected(proxy: Proxy) -> None:
    bare = proxy.prefix().rstrip("/")
    answer = await proxy.raw(f"GET {bare}?x=1 HTTP/1.1")
    assert answer.startswith(b"HTTP/1.1 307 ")
    assert f"\r\nLocation: {bare}/?x=1\r\n".encode() in answer


@pytest.mark.parametrize("what", ["hangup", "odd"])
async def test_the_service_breaks_off_before_it_answers(proxy: Proxy, what: str) -> None:
    answer = await proxy.fetch(what, "POST")
    assert answer.status == 502
    assert answer.json["reason"] == "BadAnswer"


async def given(proxy: Proxy, *fields: list[str]) -> Answer:
    """The proxied form of an answer with these fields."""
    return await proxy.fetch("answer?fields=" + quote(json.dumps(fields)))


@pytest.mark.parametrize("length", ["4, 4", "4,4", "4,5", "4, ", "+4", "4_0", "0x4", "-1", "\xb2"])
async def test_lengths_that_are_said_twice_or_are_none(proxy: Proxy, length: str) -> None:
    head = f"POST {proxy.prefix()}echo HTTP/1.1\r\nContent-Length: {length}"
    answer = await proxy.raw(head, b"body")
    same = length.replace(" ", "") == "4,4"
    assert answer.split()[1] == (b"200" if same else b"400"), answer
    assert not same or json.loads(answer.rpartition(b"\r\n")[2])["body"] == "body"
