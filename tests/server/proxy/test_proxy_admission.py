"""Who gets through, who is sent to the login page and who is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSServerHandshakeError
from jupyter_server.auth import Authorizer
from tornado.web import RequestHandler

from jupyter_sessions.server.proxy import handlers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import Browser, FakeServices, Proxy

VERBS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


async def anonymous(
    proxy: Proxy, method: str = "GET", headers: dict[str, str] | None = None
) -> tuple[Any, bytes]:
    """An answer to somebody who is not logged in."""
    request = proxy.client.request(method, proxy.url(), headers=headers, allow_redirects=False)
    async with request as answer:
        return answer, await answer.read()


@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("method", VERBS)
async def test_strangers_are_refused(
    proxy: Proxy, services: FakeServices, method: str, allowed: bool
) -> None:
    with proxy.settings(allow_unauthenticated_access=allowed):
        answer, _ = await anonymous(proxy, method)
    assert answer.status == 403
    assert services.opened == []


@pytest.mark.parametrize("allowed", [True, False])
async def test_strangers_who_navigate_are_sent_to_the_login_page(
    proxy: Proxy, services: FakeServices, allowed: bool
) -> None:
    with proxy.settings(allow_unauthenticated_access=allowed):
        answer, _ = await anonymous(proxy, headers=proxy.navigation)
    assert answer.status == 302
    assert answer.headers["Location"].startswith("/a%40b/login?next=")
    assert services.opened == []


@pytest.mark.parametrize("allowed", [True, False])
async def test_strangers_get_no_websocket(proxy: Proxy, services: FakeServices, allowed: bool) -> None:
    with (
        proxy.settings(allow_unauthenticated_access=allowed),
        pytest.raises(WSServerHandshakeError) as caught,
    ):
        await proxy.client.ws_connect(proxy.url("socket"))
    assert caught.value.status == 403
    assert services.opened == []


async def test_a_wrong_token_is_no_token(proxy: Proxy) -> None:
    answer, body = await anonymous(proxy, headers={"Authorization": "token wrong"})
    assert answer.status == 403
    assert answer.headers["Content-Type"].startswith("application/json")
    assert b"not logged in" in body


async def test_cookies_let_in(browser: Browser) -> None:
    assert (await browser.fetch()).status == 200


class Readers(Authorizer):
    """Lets everybody read and nothing else."""

    asked: list[tuple[str, str]]

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        """Note what is asked."""
        self.asked.append((action, resource))
        return action == "read"


@pytest.mark.parametrize("method", VERBS)
async def test_the_authorizer_decides(proxy: Proxy, services: FakeServices, method: str) -> None:
    readers = Readers(parent=proxy.app, identity_provider=proxy.app.identity_provider)
    readers.asked = []
    with proxy.settings(authorizer=readers):
        answer = await proxy.fetch("echo", method)
    safe = method in ("GET", "HEAD", "OPTIONS")
    assert answer.status == (200 if safe else 403)
    assert set(readers.asked) == {("read" if safe else "write", "jupyter_sessions")}
    assert bool(services.opened) == safe


async def test_the_authorizer_decides_about_websockets(proxy: Proxy, services: FakeServices) -> None:
    readers = Readers(parent=proxy.app, identity_provider=proxy.app.identity_provider)
    readers.asked = []
    with proxy.settings(authorizer=readers), pytest.raises(WSServerHandshakeError) as caught:
        async with proxy.connect():
            pass
    assert caught.value.status == 403
    assert readers.asked == [("execute", "jupyter_sessions")]
    assert services.opened == []


async def test_a_refused_body_reaches_nobody(proxy: Proxy, services: FakeServices) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b"x" * 65536

    request = proxy.client.request("POST", proxy.url("upload"), data=body())
    async with request as answer:
        assert answer.status == 403
    assert services.opened == []


def test_the_servers_start_up_check_finds_nothing(proxy: Proxy) -> None:
    app = proxy.app
    for matcher, handler in handlers(app.base_url):
        assert app.web_app._check_handler_auth(matcher, handler) == []
        for verb in handler.SUPPORTED_METHODS:
            method = getattr(handler, verb.lower())
            if method is not RequestHandler._unimplemented_method:
                assert not getattr(method, "__allow_unauthenticated", False)


async def test_work_in_a_service_keeps_the_server_alive(proxy: Proxy) -> None:
    before = proxy.app.web_app.last_activity()
    await proxy.fetch()
    after_http = proxy.app.web_app.last_activity()
    async with proxy.connect() as ws:
        opened = proxy.app.web_app.last_activity()
        await ws.send_str("work")
        await ws.receive_str()
        assert before < after_http < opened < proxy.app.web_app.last_activity()


async def test_strangers_do_not_keep_the_server_alive(proxy: Proxy) -> None:
    before = proxy.app.web_app.last_activity()
    await anonymous(proxy)
    assert proxy.app.web_app.last_activity() == before
