"""A service that is not there yet, or never will be."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest
from conftest import NAVIGATION, running

from jupyter_sessions.errors import NotRunning, SessionNotFound
from jupyter_sessions.model import Endpoint
from jupyter_sessions.server.proxy.http import HttpHandler


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits for long."""
    monkeypatch.setattr(HttpHandler, "patience", 0.2)


async def test_people_see_a_page_that_reloads_itself(proxy, impatient):
    answer = await proxy.fetch("", service="absent", headers=NAVIGATION)
    page = answer.body.decode()
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["Cache-Control"] == "no-store"
    assert '<meta http-equiv="refresh" content="2">' in page
    assert "absent" in page and "0123-session" in page
    assert "first line" in page and "&lt;script&gt;" in page and "<script" not in page
    assert "color-scheme: light dark" in page


async def test_the_page_runs_no_script(proxy, impatient):
    answer = await proxy.fetch("", service="absent", headers=NAVIGATION)
    (policy,) = answer.headers.getall("Content-Security-Policy")
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'self'" in policy and "script-src" not in policy


async def test_without_a_log_the_page_is_shown_all_the_same(proxy, services, impatient):
    services.log = ""
    answer = await proxy.fetch("", service="absent", headers=NAVIGATION)
    assert answer.status == 503 and b"<pre>" not in answer.body


async def test_programs_get_json_after_a_while(proxy, impatient):
    answer = await proxy.fetch("api", "POST", service="absent", data=b"x" * 3_000_000)
    assert answer.status == 503
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json["reason"] == "ServiceStarting"
    assert answer.json["message"] and answer.json["hint"]


async def test_refused_connections_count_as_not_there_yet(proxy, services, impatient):
    services.endpoints["absent"] = Endpoint(url="http://127.0.0.1:9")
    assert (await proxy.fetch("api", service="absent")).status == 503


async def test_programs_wait_for_a_slow_starter(proxy, services, folder):
    path = str(folder / "slow.sock")
    services.endpoints["slow"] = Endpoint(socket=path)
    body = b"y" * 1_000_000
    with running("--socket", path, "--delay", "0.5"):
        answer = await proxy.fetch("upload", "POST", service="slow", data=body)
        assert answer.json["length"] == len(body)
        assert len(services.opened) == 1


async def test_people_do_not_wait_for_long(proxy):
    started = time.monotonic()
    answer = await proxy.fetch("", service="absent", headers=NAVIGATION)
    assert answer.status == 503
    assert time.monotonic() - started < 3


async def test_who_waits_may_leave(proxy):
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
async def test_domain_errors_are_told(proxy, services, error, status):
    services.endpoints["tiny"] = error
    answer = await proxy.fetch("api", "POST", data=b"x" * 1_000_000)
    assert answer.status == status
    assert answer.json == error.to_wire()
    page = await proxy.fetch("", headers=NAVIGATION)
    assert page.status == status
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"<h1>" in page.body and b"<b>" not in page.body


async def test_unforeseen_errors_tell_nothing(proxy, services, caplog):
    services.endpoints["tiny"] = ValueError("secret detail")
    with caplog.at_level(logging.CRITICAL):
        answers = [await proxy.fetch(), await proxy.fetch(headers=NAVIGATION)]
    for answer in answers:
        assert answer.status == 500
        assert b"secret detail" not in answer.body and b"Traceback" not in answer.body
    assert answers[0].json["hint"] == "Its log says more."
