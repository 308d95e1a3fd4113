"""Where other people's pages share the server's origin, only a service's own pages can drive it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSServerHandshakeError
from yarl import URL

from jupyter_sessions.server.proxy.shared_origin import is_shared

if TYPE_CHECKING:
    from conftest import Browser, FakeServices

UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub's environment; pytest-jupyter's servers are at this base URL."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/a%40b/")
    monkeypatch.setenv("JUPYTERHUB_HOST", "")


def sent_by_a_page(browser: Browser, **more: str) -> dict[str, str]:
    """What a browser says of a script's request, whoever's page of this origin it is on."""
    said = {"Origin": browser.proxy.origin, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}
    return said | {"Referer": str(browser.proxy.url("")), **more}


async def keyed(browser: Browser, path: str = "") -> str:
    """Where a person who opens the service arrives."""
    answer = await browser.fetch(path, headers=browser.proxy.navigation)
    assert answer.status == 307
    assert answer.headers["Cache-Control"] == "no-store"
    location: str = answer.headers["Location"]
    return location


async def ask(browser: Browser, path: str, method: str = "GET", **headers: str) -> int:
    """The status of a page's request to a path of the server."""
    url = URL(browser.proxy.origin + path, encoded=True)
    sent = {"Cookie": browser.cookie} | sent_by_a_page(browser, **headers)
    async with browser.client.request(method, url, headers=sent, allow_redirects=False) as answer:
        return answer.status


@pytest.mark.parametrize("method", [*UNSAFE, "GET", "HEAD", "OPTIONS"])
async def test_no_other_persons_page_may_ask(browser: Browser, services: FakeServices, method: str) -> None:
    for headers in ({}, {"Accept": "text/html"}, {"X-XSRFToken": browser.secrets["_xsrf"]}):
        answer = await browser.fetch("echo", method, headers=sent_by_a_page(browser, **headers))
        assert answer.status == 403, headers
    assert services.opened == []


@pytest.mark.parametrize("method", UNSAFE)
async def test_no_form_of_another_persons_page_may_act(
    browser: Browser, services: FakeServices, method: str
) -> None:
    sent = sent_by_a_page(browser, **{"Sec-Fetch-Mode": "navigate", "Accept": "text/html"})
    answer = await browser.fetch("echo", method, headers=sent)
    assert answer.status == 403
    assert services.opened == []


async def test_no_other_persons_page_opens_a_websocket(browser: Browser, services: FakeServices) -> None:
    with pytest.raises(WSServerHandshakeError) as caught:
        await browser.connect(headers=sent_by_a_page(browser, **{"Sec-Fetch-Mode": "websocket"}))
    assert caught.value.status == 403
    assert services.opened == []


@pytest.mark.parametrize("method", [*UNSAFE, "GET"])
async def test_a_services_own_pages_may_act(browser: Browser, method: str) -> None:
    assert await ask(browser, await keyed(browser) + "echo", method) == 200


async def test_a_services_own_pages_open_websockets(browser: Browser) -> None:
    path = await keyed(browser) + "socket"
    url = URL(browser.proxy.origin + path, encoded=True)
    headers: dict[str, Any] = {"Cookie": browser.cookie} | sent_by_a_page(browser)
    async with browser.client.ws_connect(url, headers=headers) as ws:
        await ws.send_str("hello")
        assert await ws.receive_str() == "hello"


async def test_an_old_address_is_put_right_for_a_person_only(browser: Browser) -> None:
    right = await keyed(browser, "echo?a=b")
    key = right.partition("~")[2].partition("/")[0]
    wrong = right.replace(key, "A" * len(key))
    assert await ask(browser, wrong, **browser.proxy.navigation) == 307
    assert await ask(browser, wrong, "POST") == 403
    assert await ask(browser, wrong) == 403


async def test_scripts_with_a_token_need_no_key(browser: Browser) -> None:
    assert (await browser.proxy.fetch("echo", "POST")).status == 200


async def test_a_domain_for_each_user_needs_no_key(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_HOST", "https://hub.example")
    answer = await browser.fetch("echo", "POST", headers=sent_by_a_page(browser))
    assert answer.status == 200


@pytest.mark.parametrize(
    ("base_url", "host", "shared"),
    [
        ("/", "jupyter.example", False),
        ("/notebook/team/one/", "jupyter.example", True),
        ("/notebook/team/one/", "jupyter.example:8080", True),
        ("/lab/", "localhost:8888", False),
        ("/lab/", "127.0.0.1", False),
        ("/lab/", "[::1]:8888", False),
        ("/lab/", "localhost.evil.example", True),
        ("/a%40b/", "localhost:8000", True),
    ],
)
def test_who_shares_an_origin(base_url: str, host: str, shared: bool) -> None:
    assert is_shared(base_url, host) is shared
