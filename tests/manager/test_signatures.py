"""A wrong signature gets nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.signing import Keypair, Signable
from tests.manager.world import V5, Rest

pytestmark = [pytest.mark.asyncio, pytest.mark.in_memory]


@pytest_asyncio.fixture
async def rest(machine: Path) -> AsyncIterator[Rest]:
    """The manager that tests share."""
    service = SessionService(JupyterSessions())
    await service.backend("local").capacity()
    await service.close()
    async with Rest() as made:
        yield made


def signed(keypair: Keypair, request: httpx.Request, **changes: object) -> httpx.Request:
    """Sign a request otherwise than it is sent."""
    now = changes.pop("now", None) or datetime.now(UTC)
    assert isinstance(now, datetime)
    parts: dict[str, object] = {
        "method": request.method,
        "target": request.url.raw_path.decode(),
        "host": request.headers["Host"],
        "date": now.isoformat(),
        "day": now.strftime("%Y%m%d"),
        "content_type": "application/json",
        "version": V5,
    }
    signature = Signable(**{**parts, **changes}).signature(keypair.secret_key)  # type: ignore[arg-type]
    request.headers.update(
        {
            "Date": now.isoformat(),
            "X-BackendAI-Version": V5,
            "Authorization": f"BackendAI signMethod=HMAC-SHA256, credential={keypair.access_key}:{signature}",
        }
    )
    return request


def refused(response: httpx.Response, status: int, kind: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["type"].endswith(f"/probs/{kind}")
    assert body["title"]


TARGET = "/session/none?forced=true"
CHANGES: list[dict[str, object]] = [
    {"method": "GET"},
    {"target": "/session/other?forced=true"},
    {"target": "/session/none?forced=false"},
    {"target": "/session/none"},
    {"host": "evil.example"},
    {"version": "v8.20240915"},
    {"day": "20200101"},
    {"content_type": "text/plain"},
]


async def test_what_was_changed_on_the_way_is_refused(rest: Rest) -> None:
    key = rest.contact.keypair
    for changes in CHANGES:
        request = signed(key, rest.request("DELETE", TARGET), **changes)
        refused(await rest.http.send(request), 401, "auth-failed")
    assert (await rest.http.send(signed(key, rest.request("DELETE", TARGET)))).status_code == 404


async def test_without_or_with_a_wrong_signature(rest: Rest) -> None:
    refused(await rest.http.get("/session/none"), 401, "auth-failed")
    refused(await rest.http.post("/session", json={"name": "nobody", "image": "python"}), 401, "auth-failed")
    key = rest.contact.keypair
    for wrong in (Keypair(key.access_key, "guess"), Keypair("AKIANOBODY", key.secret_key), Keypair("", "")):
        refused(await rest.http.send(signed(wrong, rest.request("GET", "/session/x"))), 401, "auth-failed")
    assert (await rest.http.get("/")).json()["version"].startswith("v7.")
    refused(await rest.http.get("/nowhere"), 401, "auth-failed")


async def test_a_clock_that_is_off(rest: Rest) -> None:
    for minutes, status in ((-16, 400), (16, 400), (-60 * 24 * 365, 400), (-14, 404), (14, 404)):
        now = datetime.now(UTC) + timedelta(minutes=minutes)
        request = signed(rest.contact.keypair, rest.request("GET", "/session/none"), now=now)
        response = await rest.http.send(request)
        assert response.status_code == status, minutes
        assert status == 404 or response.json()["type"].endswith("/probs/invalid-auth-params")


async def test_headers_that_cannot_be_read(rest: Rest) -> None:
    signature = b"BackendAI signMethod=HMAC-SHA256, credential="
    access_key = rest.contact.keypair.access_key.encode()
    for name, value, status, kind in (
        ("Authorization", b"Basic eDp5", 400, "invalid-auth-params"),
        ("Authorization", b"BackendAI", 400, "invalid-auth-params"),
        ("Authorization", signature + b"x", 400, "invalid-auth-params"),
        ("Authorization", b"BackendAI signMethod=HMAC-WHAT, credential=x:y", 400, "invalid-auth-params"),
        ("Authorization", b"BackendAI signMethod=HMAC-SHAKE_128, credential=x:y", 400, "invalid-auth-params"),
        ("Authorization", signature + b"\xff:\xff", 400, "invalid-auth-params"),
        ("Authorization", signature + access_key + b":\xc3\xbc", 401, "auth-failed"),
        ("Date", b"yesterday", 400, "invalid-auth-params"),
        ("Date", b"", 400, "invalid-auth-params"),
        ("Date", b"\xff", 400, "invalid-auth-params"),
        ("Content-Type", b"\xff", 400, "invalid-auth-params"),
        ("X-BackendAI-Version", b"\xff", 400, "invalid-auth-params"),
    ):
        refused(await rest.http.send(with_header(rest, name, value)), status, kind)


def with_header(rest: Rest, name: str, value: bytes) -> httpx.Request:
    """A signed request in which one header was replaced by any bytes."""
    request = rest.request("GET", "/session/none")
    headers = [pair for pair in request.headers.raw if pair[0].lower() != name.lower().encode()]
    return httpx.Request("GET", request.url, headers=[*headers, (name.encode(), value)])
