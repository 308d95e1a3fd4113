"""What a service answers cannot harm the Jupyter server's origin."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from conftest import Answer, Browser


async def given(browser: Browser, *fields: list[str]) -> Answer:
    """The proxied form of an answer with these fields."""
    return await browser.fetch("answer?fields=" + quote(json.dumps(fields)))


async def cookies(browser: Browser, *lines: str) -> list[str]:
    """The Set-Cookie lines that a browser gets for those a service sent."""
    answer = await given(browser, *(["Set-Cookie", line] for line in lines))
    assert answer.status == 200
    return answer.headers.getall("Set-Cookie", [])


@pytest.mark.parametrize(
    "pair",
    [
        "_xsrf=evil",
        "_XSRF=evil",
        " _xsrf =evil",
        "_xsrf\t=evil",
        '"_xsrf"=evil',
        "=_xsrf=evil",
        "_xsrf",
        "username-localhost-8888=evil",
        "UserName-x=evil",
        "jupyterhub-user-ada=evil",
        "JupyterHub-session-id=evil",
        "",
    ],
)
async def test_the_servers_cookies_cannot_be_set(browser: Browser, pair: str) -> None:
    assert await cookies(browser, f"{pair}; Path=/; HttpOnly", "good=1") == [
        f"good=1; Path={browser.proxy.prefix()}"
    ]


async def test_the_login_cookie_cannot_be_set_by_any_configured_name(browser: Browser) -> None:
    provider = browser.proxy.app.identity_provider
    name = next(name for name in browser.secrets if name.startswith("username"))
    assert await cookies(browser, f"{name}=evil", f"{name.upper()}=evil") == []
    provider.cookie_name = "My-Login"
    browser.secrets = {}
    headers = {**browser.proxy.auth, "Cookie": "my-login=evil; x=1"}
    assert (await browser.fetch(headers=headers)).sent["cookie"] == "x=1"


async def test_cookies_stay_in_the_services_path(browser: Browser) -> None:
    prefix = browser.proxy.prefix()
    assert await cookies(
        browser,
        "a=1; Path=/; Secure; HttpOnly; SameSite=None; Max-Age=9",
        "b=2; path = /other ; DOMAIN=127.0.0.1",
        f"c=3; Path={prefix}deep; Expires=Wed, 21 Oct 2065 07:28:00 GMT",
        f"d=4; Path={prefix[:-1]}-other/",
        'e="5, x"; Path=/; Path=/a%40b/; Domain=.example; Domain',
        "f=a=b",
    ) == [
        f"a=1; Secure; HttpOnly; SameSite=None; Max-Age=9; Path={prefix}",
        f"b=2; Path={prefix}",
        f"c=3; Expires=Wed, 21 Oct 2065 07:28:00 GMT; Path={prefix}deep",
        f"d=4; Path={prefix}",
        f'e="5, x"; Path={prefix}',
        f"f=a=b; Path={prefix}",
    ]


async def test_host_cookies_travel_under_another_name(browser: Browser) -> None:
    prefix = browser.proxy.prefix()
    assert await cookies(browser, "__Host-id=7; Path=/; Secure", "__HOST-a=1; Path=/; Secure") == [
        f"__Secure-service-host.id=7; Secure; Path={prefix}",
        f"__Secure-service-host.a=1; Secure; Path={prefix}",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "Service-Worker-Allowed",
        "Clear-Site-Data",
        "Strict-Transport-Security",
        "Alt-Svc",
        "NEL",
        "Report-To",
        "WWW-Authenticate",
        "X-Accel-Redirect",
        "X-Sendfile",
        "Set-Cookie2",
        "Access-Control-Allow-Origin",
        "Proxy-Authenticate",
    ],
)
async def test_fields_that_speak_for_the_whole_origin_are_dropped(browser: Browser, name: str) -> None:
    answer = await given(browser, [name, "/"], [name.lower(), "*"], ["X-Accel-Buffering", "no"])
    assert name not in answer.headers
    assert answer.headers["X-Accel-Buffering"] == "no"


async def test_framing_is_forbidden_to_others_whatever_the_service_says(browser: Browser) -> None:
    answer = await given(
        browser,
        ["Content-Security-Policy", "frame-ancestors *; script-src 'self'"],
        ["X-Frame-Options", "DENY"],
    )
    policies = answer.headers.getall("Content-Security-Policy")
    assert policies[0].startswith("frame-ancestors 'self'")
    assert policies[1] == "frame-ancestors *; script-src 'self'"
    assert "sandbox" not in policies[0]
    assert answer.headers["X-Frame-Options"] == "DENY"


async def test_an_administrators_policy_is_kept(browser: Browser) -> None:
    own = {"Content-Security-Policy": "frame-ancestors https://portal.example", "X-Own": "1"}
    with browser.proxy.settings(headers=own):
        answer = await given(browser, ["Content-Security-Policy", "default-src *"])
    policies = answer.headers.getall("Content-Security-Policy")
    assert policies == [own["Content-Security-Policy"], "default-src *"]
    assert answer.headers["X-Own"] == "1"


async def test_types_are_not_guessed(browser: Browser) -> None:
    answer = await given(browser, ["X-Content-Type-Options", "guess"])
    assert answer.headers.getall("X-Content-Type-Options") == ["nosniff"]
