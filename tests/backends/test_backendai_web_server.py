"""Signing in to a web server: what is said when it lets nobody in, and when it is asked again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from jupyter_sessions.backends.backendai import BackendAI, access
from jupyter_sessions.backends.base import Query
from jupyter_sessions.errors import BackendUnavailable, RateLimited, Unauthorized
from tests.backends.small_manager import PROBLEMS, Handler, SmallManager, problem, serving

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def at(manager: SmallManager) -> AsyncIterator[BackendAI]:
    """A backend on it."""
    async with serving(manager) as url:
        lab = BackendAI("lab", endpoint=url, endpoint_type="session", username="ada", password="the-password")
        yield lab
        await lab.close()


def answering(body: Any, status: int = 200, **headers: str) -> Handler:
    """The same answer to all."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def handle(request: web.Request) -> web.Response:
        if isinstance(body, str):
            return web.Response(text=body, status=status, content_type="text/html", headers=named)
        return web.json_response(body, status=status, headers=named)

    return handle


def said(kind: str, details: str) -> dict[str, Any]:
    """How the web server tells that somebody is not let in. Source: web server 25.5.2."""
    data = {"type": PROBLEMS + kind, "title": "Some title.", "details": details}
    return {"authenticated": False, "data": data}


async def test_a_web_server_that_is_down_is_no_wrong_address() -> None:
    manager = SmallManager(web_server=True)
    manager.login = answering("<!DOCTYPE html>", 503, Retry_After="7")
    async with at(manager) as lab:
        with pytest.raises(BackendUnavailable, match=r"answered 503 .*Try again in 7 s\."):
            await lab.list(Query())
        manager.login = manager.let_in
        assert await lab.list(Query()) == []


async def test_a_refusal_is_told_again_without_asking() -> None:
    manager = SmallManager(web_server=True)
    manager.login = answering(said("auth-failed", "User credential mismatch."))
    async with at(manager) as lab:
        for _ in range(3):
            with pytest.raises(Unauthorized, match="did not let you in: User credential mismatch"):
                await lab.list(Query())
    assert manager.count("POST /server/login") == 1


async def test_a_manager_that_failed_is_asked_again_ever_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The web server counts these failures as well, and blocks whoever has ten of them."""
    now = 0.0
    monkeypatch.setattr(access, "monotonic", lambda: now)
    manager = SmallManager(web_server=True)
    manager.login = answering(said("internal-server-error", "the database is down"))
    async with at(manager) as lab:
        for number, pause in enumerate((30, 60, 120, 240, 480, 960, 1800, 1800), 1):
            for _ in range(2):
                with pytest.raises(BackendUnavailable, match="could not let you in: the database is down"):
                    await lab.list(Query())
                now += pause / 2 - 1
            assert manager.count("POST /server/login") == number
            now += 3
        manager.login = manager.let_in
        assert await lab.list(Query()) == []


async def test_who_is_blocked_is_told_so_and_does_not_make_it_last() -> None:
    manager = SmallManager(web_server=True)

    async def block(request: web.Request) -> web.Response:
        return problem(429, "too-many-requests", "Too many failed login attempts")

    manager.login = block
    async with at(manager) as lab:
        for _ in range(3):
            with pytest.raises(RateLimited, match="Too many failed login attempts"):
                await lab.list(Query())
    assert manager.count("POST /server/login") == 1


async def test_services_and_code_outlive_a_cookie() -> None:
    manager = SmallManager(web_server=True)
    async with at(manager) as lab:
        client = await lab.client()
        await lab.list(Query())
        for forget in (manager.signed_in, client._http.cookies):  # It there, or this side; its time is over.
            assert forget is not None
            forget.clear()
            socket = await client.websocket("/session/s1/tcpproxy", {"app": "one"})
            assert socket is not None and await socket.receive_bytes() == b"one"
            await socket.close()
            forget.clear()
            outputs = [output async for output in lab.execute("s1", "1")]
            assert outputs[0].content["text"] == "1"
    assert manager.count("POST /func/session/s1") == 0, "nothing was asked again and again"


async def test_a_web_socket_signs_in_first() -> None:
    manager = SmallManager(web_server=True)
    async with at(manager) as lab:
        socket = await (await lab.client()).websocket("/session/s1/tcpproxy", {"app": "one"})
        assert socket is not None
        await socket.close()
