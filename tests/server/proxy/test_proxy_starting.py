"""A service that is not there yet, or never will be."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_sessions.errors import NotRunning, ServiceEnded, SessionNotFound
from jupyter_sessions.model import Endpoint, Service
from jupyter_sessions.server.proxy.http import HttpHandler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import FakeServices, Proxy


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for long."""
    monkeypatch.setattr(HttpHandler, "patience", 0.2)


async def test_people_see_a_page_that_reloads_itself(proxy: Proxy, impatient: None) -> None:
    answer = await proxy.visit(service="absent")
    page = answer.body.decode()
    assert answer.status == 202
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["Cache-Control"] == "no-store"
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "<h1>Starting absent</h1>" in page and "Session demo" in page and "<p role=timer" not in page
    assert "first line" in page and "&lt;script&gt;" in page and "<script" not in page
    assert "color-scheme: light dark" in page


def started(seconds: float) -> Service:
    """A service that was started so long ago."""
    since = datetime.now(UTC) - timedelta(seconds=seconds)
    return Service(name="absent", title="Absent <i>One</i>", state="starting", since=since)


async def test_the_page_tells_the_time(proxy: Proxy, services: FakeServices, impatient: None) -> None:
    services.services = [started(12)]
    page = (await proxy.visit(service="absent")).body.decode()
    assert "<h1>Starting Absent &lt;i&gt;One&lt;/i&gt;</h1>" in page
    assert re.search(r"<p role=timer>1[2-5] s</p>", page)
    assert "<form" not in page


async def test_after_a_long_time_the_page_offers_another_start(
    proxy: Proxy, services: FakeServices, impatient: None
) -> None:
    services.services = [started(83)]
    page = (await proxy.visit(service="absent")).body.decode()
    assert re.search(r"<p role=timer>1 min 2[3-6] s</p>", page)
    assert "It takes longer than usual." in page
    place = "/a%40b/jupyter-sessions/sessions/local/0123-session/services/absent?restart=true"
    assert f'<form method="post" action="{place}">' in page


async def test_what_has_ended_is_not_started_by_its_page(proxy: Proxy, services: FakeServices) -> None:
    error = ServiceEnded("The service 'tiny' has ended (exit status 1).", hint="Start it again.")
    services.endpoints["tiny"] = error
    answer = await proxy.visit()
    page = answer.body.decode()
    assert answer.status == 409
    assert "has ended (exit status 1)" in page and "Session demo" in page
    assert "first line" in page and "<script" not in page and "refresh" not in page
    place = "/a%40b/jupyter-sessions/sessions/local/0123-session/services/tiny"
    assert f'<form method="post" action="{place}">' in page and "<button>Start again</button>" in page
    assert (await proxy.fetch("api")).json == error.to_wire()


async def test_the_page_runs_no_script(proxy: Proxy, impatient: None) -> None:
    answer = await proxy.visit(service="absent")
    (policy,) = answer.headers.getall("Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'self'" in policy and "script-src" not in policy


async def test_without_a_log_the_page_is_shown_all_the_same(
    proxy: Proxy, services: FakeServices, impatient: None
) -> None:
    services.log = ""
    answer = await proxy.visit(service="absent")
    assert answer.status == 202 and b"<pre>" not in answer.body


async def test_programs_get_json_after_a_while(proxy: Proxy, impatient: None) -> None:
    answer = await proxy.fetch("api", "POST", service="absent", data=b"x" * 3_000_000)
    assert answer.status == 503
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json["reason"] == "ServiceStarting"
    assert answer.json["message"] and answer.json["hint"]


async def test_refused_connections_count_as_not_there_yet(
    proxy: Proxy, services: FakeServices, impatient: None
) -> None:
    services.endpoints["absent"] = Endpoint(url="http://127.0.0.1:9")
    assert (await proxy.fetch("api", service="absent")).status == 503


async def test_programs_wait_for_a_slow_starter(
    proxy: Proxy, services: FakeServices, folder: Path, run_tiny: Callable[..., Any]
) -> None:
    path = str(folder / "slow.sock")
    services.endpoints["slow"] = Endpoint(socket=path)
    body = b"y" * 1_000_000
    with run_tiny("--socket", path, "--delay", "0.5"):
        answer = await proxy.fetch("upload", "POST", service="slow", data=body)
        assert answer.json["length"] == len(body)
        assert len(services.opened) == 1


async def test_people_do_not_wait_for_long(proxy: Proxy) -> None:
    started = time.monotonic()
    answer = await proxy.visit(service="absent")
    assert answer.status == 202
    assert time.monotonic() - started < 3


async def test_who_waits_may_leave(proxy: Proxy) -> None:
    waiting = asyncio.create_task(proxy.fetch("api", service="absent"))
    await asyncio.sleep(0.3)
    waiting.cancel()
    await asyncio.sleep(0.2)
    names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
    assert "HttpHandler._run" not in names


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SessionNotFound("No session <b>x</b>.", hint="See the list."), 404),
        (NotRunning("It has ended."), 409),
    ],
)
async def test_domain_errors_are_told(
    proxy: Proxy, services: FakeServices, error: NotRunning | SessionNotFound, status: int
) -> None:
    services.endpoints["tiny"] = error
    answer = await proxy.fetch("api", "POST", data=b"x" * 1_000_000)
    assert answer.status == status
    assert answer.json == error.to_wire()
    page = await proxy.visit()
    assert page.status == status
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"<h1>" in page.body and b"<b>" not in page.body


async def test_unforeseen_errors_tell_nothing(
    proxy: Proxy, services: FakeServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.endpoints["tiny"] = ValueError("secret detail")
    with caplog.at_level(logging.CRITICAL):
        answers = [await proxy.fetch(), await proxy.visit()]
    for answer in answers:
        assert answer.status == 500
        assert b"secret detail" not in answer.body and b"Traceback" not in answer.body
    assert answers[0].json["hint"] == "See the server's log for details."
