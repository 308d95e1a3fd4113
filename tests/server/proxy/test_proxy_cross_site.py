"""Other sites cannot drive or read a service through the user's cookies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import WSServerHandshakeError

if TYPE_CHECKING:
    from conftest import Browser, FakeServices, Proxy

EVIL = "https://evil.example"
UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]


def said(browser: Browser, **fields: str) -> dict[str, str]:
    """Header fields by their Python names; HERE stands for the server's own origin."""
    names = {"origin": "Origin", "site": "Sec-Fetch-Site", "mode": "Sec-Fetch-Mode"}
    names |= {"referer": "Referer", "accept": "Accept"}
    own = browser.proxy.origin
    return {names[key]: value.replace("HERE", own) for key, value in fields.items()}


ACCEPTED = [
    {"origin": "HERE", "site": "same-origin"},
    {"origin": "HERE"},
    {"site": "same-origin"},
    {"site": "none"},
    {"origin": "null", "site": "same-origin"},
]
REFUSED = [
    {},
    {"referer": "HERE/lab"},
    {"origin": EVIL},
    {"origin": "null"},
    {"origin": EVIL, "site": "cross-site"},
    {"origin": EVIL, "site": "same-origin"},
    {"origin": "HERE", "site": "cross-site"},
    {"origin": "HERE", "site": "same-site"},
    {"origin": "null", "site": "cross-site"},
    {"origin": "http://127.0.0.1:9999", "site": "same-site"},
    {"origin": "http://127.0.0.1:9999"},
    {"origin": "HERE.evil.example"},
    {"origin": "http://user@evil.example"},
    {"site": "cross-site"},
    {"site": "same-site"},
    {"site": "none", "referer": EVIL + "/form"},
    {"referer": EVIL + "/form"},
]


@pytest.mark.parametrize("method", UNSAFE)
async def test_a_services_own_pages_may_act(browser: Browser, method: str) -> None:
    for fields in ACCEPTED:
        answer = await browser.fetch("echo", method, headers=said(browser, **fields))
        assert answer.status == 200, fields


@pytest.mark.parametrize("method", UNSAFE)
async def test_no_other_page_may_act(browser: Browser, services: FakeServices, method: str) -> None:
    for fields in REFUSED:
        answer = await browser.fetch("echo", method, headers=said(browser, **fields))
        assert answer.status == 403, fields
        assert answer.json["reason"] == "CrossSite"
    assert services.opened == []


async def test_websockets_only_from_here(browser: Browser) -> None:
    for fields in ACCEPTED:
        async with browser.connect(headers=said(browser, **fields)) as ws:
            await ws.send_str("hello")
            assert await ws.receive_str() == "hello"


async def test_no_websocket_from_elsewhere(browser: Browser, services: FakeServices) -> None:
    for fields in REFUSED:
        with pytest.raises(WSServerHandshakeError) as caught:
            await browser.connect(headers=said(browser, **fields))
        assert caught.value.status == 403, fields
    assert services.opened == []


@pytest.mark.parametrize("method", UNSAFE)
async def test_scripts_with_a_token_need_no_origin(proxy: Proxy, method: str) -> None:
    assert (await proxy.fetch("echo", method)).status == 200


async def test_a_token_does_not_excuse_another_origin(proxy: Proxy) -> None:
    answer = await proxy.fetch("echo", "POST", headers={"Origin": EVIL})
    assert answer.status == 403


async def test_a_token_in_the_url_is_not_enough_to_act(proxy: Proxy) -> None:
    request = proxy.client.request("POST", proxy.url(f"echo?token={proxy.token}"))
    async with request as answer:
        assert answer.status == 403
        assert (await answer.json())["reason"] == "CrossSite"


async def test_a_token_in_the_url_beside_a_wrong_one_is_not_enough(proxy: Proxy) -> None:
    wrong = {"Authorization": "token wrong"}
    url = proxy.url(f"echo?token={proxy.token}")
    async with proxy.client.request("POST", url, headers=wrong) as answer:
        assert answer.status == 403


async def test_scripts_with_a_token_may_read_from_anywhere(proxy: Proxy) -> None:
    elsewhere = {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    assert (await proxy.fetch(headers=elsewhere)).status == 200


async def test_an_invalid_token_beside_cookies_is_not_enough(browser: Browser) -> None:
    answer = await browser.fetch("echo", "POST", headers={"Authorization": "token wrong"})
    assert answer.status == 403


async def test_the_servers_xsrf_cookie_is_no_pass(browser: Browser) -> None:
    headers = {"X-XSRFToken": browser.secrets["_xsrf"]}
    assert (await browser.fetch("echo", "POST", headers=headers)).status == 403
    forged = f"echo?_xsrf={browser.secrets['_xsrf']}"
    assert (await browser.fetch(forged, "POST")).status == 403


@pytest.mark.parametrize(
    "allowing",
    [{"allow_origin": EVIL}, {"allow_origin": "*"}, {"allow_origin_pat": r"https://e.*example"}],
)
async def test_origins_the_server_allows(browser: Browser, allowing: dict[str, str]) -> None:
    headers = said(browser, origin=EVIL, site="cross-site")
    other = said(browser, origin="https://other.net", site="cross-site")
    with browser.proxy.settings(**allowing):
        assert (await browser.fetch("echo", "POST", headers=headers)).status == 200
        async with browser.connect(headers=headers) as ws:
            await ws.close()
        status = (await browser.fetch("echo", "POST", headers=other)).status
    assert status == (200 if "*" in allowing.values() else 403)


async def test_disabling_the_xsrf_check_of_the_server_does_not_open_services(browser: Browser) -> None:
    with browser.proxy.settings(disable_check_xsrf=True):
        answer = await browser.fetch("echo", "POST", headers={"Origin": EVIL})
    assert answer.status == 403


READABLE = [
    {},
    {"site": "same-origin", "mode": "no-cors"},
    {"site": "none", "mode": "navigate"},
    {"site": "cross-site", "mode": "navigate", "accept": "text/html"},
    {"referer": EVIL, "accept": "text/html,*/*"},
    {"referer": "HERE/lab", "accept": "*/*"},
    {"origin": "HERE"},
]
UNREADABLE = [
    {"site": "cross-site", "mode": "no-cors"},
    {"site": "same-site", "mode": "no-cors"},
    {"site": "cross-site", "mode": "cors", "origin": EVIL},
    {"site": "cross-site", "mode": "websocket"},
    {"origin": EVIL},
    {"referer": EVIL, "accept": "*/*"},
]


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_links_are_followed_but_nothing_is_embedded(
    browser: Browser, services: FakeServices, method: str
) -> None:
    for fields in READABLE:
        answer = await browser.fetch("echo", method, headers=said(browser, **fields))
        assert answer.status == 200, fields
    services.opened.clear()
    for fields in UNREADABLE:
        answer = await browser.fetch("echo", method, headers=said(browser, **fields))
        assert answer.status == 403, fields
    assert services.opened == []


async def test_a_service_cannot_open_itself_to_other_sites(browser: Browser) -> None:
    fields = '[["Access-Control-Allow-Origin","*"],["Access-Control-Allow-Credentials","true"]]'
    answer = await browser.fetch("answer?fields=" + fields.replace('"', "%22"))
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80"])
async def test_a_rebound_host_name_is_refused(browser: Browser, host: str) -> None:
    answer = await browser.fetch("echo", "POST", headers={"Host": host, "Origin": f"http://{host}"})
    assert answer.status == 403
