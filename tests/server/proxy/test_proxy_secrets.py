"""What belongs to the Jupyter server stays there, whatever way it is sent."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import aiohttp
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Browser, FakeServices, Proxy

    from jupyter_sessions.model import Endpoint

HUB = {
    "jupyterhub-user-ada": "hub-user-cookie-value",
    "jupyterhub-session-id": "hub-session-cookie-value",
    "username-localhost-9999": "cookie-of-another-server",
    "Username-LocalHost-1": "cookie-in-another-case",
    "__Host-front": "cookie-of-the-front-end",
}


async def everything_seen(socket: str) -> str:
    """All that ever reached the tiny service, as one text."""
    connector = aiohttp.UnixConnector(socket)
    session = aiohttp.ClientSession(connector=connector)
    async with session, session.get("http://tiny/services/b/i/s/seen") as answer:
        return "\n".join(await answer.json())


@pytest.fixture
def secrets(browser: Browser) -> list[str]:
    """All values that must not arrive."""
    login = next(value for name, value in browser.secrets.items() if name.startswith("username"))
    values = [browser.proxy.token, browser.secrets["_xsrf"], login.strip('"')]
    return [*values, *HUB.values()]


def requests_with_secrets(browser: Browser) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Requests that carry the server's secrets in every place where they may be."""
    token, xsrf = browser.proxy.token, browser.secrets["_xsrf"]
    here = f"{browser.proxy.origin}/a%40b/lab?token={token}&keep=1#x"
    cookie = "; ".join([browser.cookie, *(f"{k}={v}" for k, v in HUB.items()), "mine=1"])
    spread = cookie.replace("; ", ";")
    headers = {"X-XSRFToken": xsrf, "Referer": here, "Origin": browser.proxy.origin}
    query = f"?token={token}&a=1&_xsrf={quote(xsrf)}&next={quote(here)}&tok%65n={token}"
    for sent in (cookie, spread, f'q="; {cookie}; "', f"a=1, {cookie}"):
        for method in ("GET", "POST"):
            yield method, "echo" + query, {**headers, "Cookie": sent}
            for scheme in ("token", "Bearer", "Basic"):
                auth = {"Authorization": f"{scheme} {token}"}
                yield method, "echo?b=2", {**headers, **auth, "Cookie": sent}
    front = {"X-Original-URI": "/x" + query, "X-Whatever": here, "X-Forwarded-Uri": query}
    yield "GET", "echo", {**headers, **front, "Cookie": cookie}
    yield "GET", "echo", {**headers, "x-xsrftoken": xsrf, "X-CSRFToken": xsrf, "Cookie": cookie}


async def test_no_secret_ever_reaches_a_service(browser: Browser, tiny: Endpoint, secrets: list[str]) -> None:
    passed = 0
    for method, path, headers in requests_with_secrets(browser):
        answer = await browser.fetch(path, method, headers=headers)
        passed += answer.status == 200
    assert passed > 10
    for path in ("socket", f"socket?token={browser.proxy.token}"):
        headers = {"Origin": browser.proxy.origin, "Cookie": browser.cookie + "; mine=1"}
        async with browser.connect(path, headers=headers) as ws:
            await ws.close()
    await asyncio.sleep(0.1)
    seen = await everything_seen(tiny.socket or "")
    assert "mine=1" in seen and "keep=1" in seen
    found = [value for value in secrets if value in seen or quote(value, safe="") in seen]
    assert found == []
    names = [name for name in [*HUB, *browser.secrets] if name.lower() + "=" in seen.lower()]
    assert names == []


async def test_a_services_own_cookies_pass(browser: Browser) -> None:
    cookie = browser.cookie + '; csrftoken=abc; sid="quoted, value"; __Secure-service-host.id=7'
    answer = await browser.fetch(headers={"Cookie": cookie, "X-CSRFToken": "abc"})
    assert answer.sent["cookie"] == 'csrftoken=abc; sid="quoted, value"; __Host-id=7'
    assert answer.sent["x-csrftoken"] == "abc"


async def test_repeated_cookie_fields(proxy: Proxy, browser: Browser) -> None:
    raw = f"GET {proxy.prefix()}echo HTTP/1.1\r\nCookie: a=1\r\nCookie: {browser.cookie}\r\n"
    answer = await proxy.raw(raw + "Cookie: b=2")
    headers = dict(json.loads(answer.partition(b"\r\n\r\n")[2])["headers"])
    assert headers["Cookie"] == "a=1; b=2"


@pytest.mark.parametrize("credential", ["Basic eDp5", "token x", "Bearer"])
async def test_no_authorization_passes(browser: Browser, credential: str) -> None:
    answer = await browser.fetch(headers={"Authorization": credential, "X-XSRFToken": "x"})
    assert answer.status == 200
    assert not {"authorization", "x-xsrftoken"} & set(answer.sent)


async def test_no_cookie_is_no_field(browser: Browser) -> None:
    assert "cookie" not in (await browser.fetch()).sent


async def test_the_rest_of_the_query_stays_byte_for_byte(browser: Browser) -> None:
    odd = "a=%2F+%20&&=&b&tokens=1&x_xsrf=2&c=%zz;d=e"
    answer = await browser.fetch(f"echo?{odd}&token=nope&tok%65n=no&%5Fxsrf=no")
    assert answer.json["target"].endswith(f"echo?{odd}")


async def test_the_referer_keeps_its_path(browser: Browser) -> None:
    here = browser.proxy.origin
    for sent, passed in {
        f"{here}/lab?token=abcdefgh": f"{here}/lab",
        f"{here}/lab?x=1&token=abcdefgh": f"{here}/lab?x=1",
        f"{here}/lab": f"{here}/lab",
    }.items():
        answer = await browser.fetch(headers={"Referer": sent, "Sec-Fetch-Site": "same-origin"})
        assert answer.sent["referer"] == passed


async def test_a_page_is_not_shown_under_a_url_with_the_token(proxy: Proxy, services: FakeServices) -> None:
    url = proxy.url(f"echo?x=1&token={proxy.token}")
    async with proxy.client.get(url, headers=proxy.navigation, allow_redirects=False) as answer:
        assert answer.status == 307
        assert answer.headers["Location"] == proxy.prefix() + "echo?x=1"
        assert answer.headers["Set-Cookie"].startswith("username-")
    assert services.opened == []


async def test_scripts_may_use_a_token_in_the_url_to_read(proxy: Proxy) -> None:
    async with proxy.client.get(proxy.url(f"echo?x=1&token={proxy.token}")) as answer:
        assert (await answer.json())["target"].endswith("echo?x=1")
