"""Where browsers send no `Sec-Fetch-*` headers, no page of another person learns the key of a person's services."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import Page, async_playwright
from tornado import web
from yarl import URL

from jupyter_sessions.wire.proxy.credentials import KEY_COOKIE
from tests.browser.conftest import FLAGS
from tests.conftest import need

if TYPE_CHECKING:
    from conftest import Answer, Browser, FakeServices, Proxy

PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
"""What a browser sends over plain HTTP, on a navigation or for a script that says the same."""
HOST = "hub.test"
READ = """async url => {
    const answer = await fetch(url, {headers: {Accept: "text/html"}});
    return answer.url + " " + await answer.text() + " " + document.cookie;
}"""
FRAME = """url => new Promise(resolve => {
    const frame = document.createElement("iframe");
    frame.onload = () => resolve(frame.contentDocument && frame.contentDocument.URL);
    frame.src = url;
    document.body.append(frame);
})"""
PRETEND = """url => {
    history.pushState({}, "", url);
    return document.cookie;
}"""


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub's environment; pytest-jupyter's servers are at this base URL."""
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/a%40b/")
    monkeypatch.setenv("JUPYTERHUB_HOST", "")


def cookie_of(answer: Answer) -> tuple[str, dict[str, str]]:
    """The key in the answer's cookie, and the cookie's attributes."""
    lines = answer.headers.getall("Set-Cookie", [])
    (line,) = [line for line in lines if line.startswith(f"{KEY_COOKIE}=")]
    pair, *attributes = line.split("; ")
    split = (attribute.partition("=") for attribute in attributes)
    return pair.partition("=")[2], {name.lower(): value for name, _, value in split}


async def test_the_key_is_in_a_cookie_of_the_services_own_path_only(
    browser: Browser, services: FakeServices
) -> None:
    answer = await browser.fetch("echo?a=b&token=none", headers=PERSON)
    key, attributes = cookie_of(answer)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", key)
    assert attributes.keys().isdisjoint({"httponly", "domain", "secure"})
    assert (attributes["path"] + "/", attributes["samesite"]) == (browser.proxy.prefix(), "Strict")
    assert answer.status == 200
    others = [value for name, value in answer.headers.items() if name != "Set-Cookie"]
    assert key not in answer.body.decode()
    assert not any(key in value for value in others)
    assert answer.headers["Cache-Control"] == "no-store"
    assert services.opened == []


async def test_only_its_own_script_runs_on_the_page_and_nobody_embeds_it(browser: Browser) -> None:
    answer = await browser.fetch("%22%3E<script>alert(1)</script>?<b>", headers=PERSON)
    scripts = re.findall(r"<script[^>]*>(.*?)</script>", answer.body.decode(), re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = answer.headers["Content-Security-Policy"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy
    assert b"<b>" not in answer.body


async def test_who_knows_the_key_is_let_in_and_who_knows_an_old_one_is_put_right(browser: Browser) -> None:
    key, _ = cookie_of(await browser.fetch("", headers=PERSON))
    root, rest = browser.proxy.prefix().split("local/")
    where = browser.proxy.origin + root + "~{}/local/" + rest + "echo"
    sent = PERSON | {"Cookie": browser.cookie}
    for known, status in ((key, "right"), ("A" * 22, "wrong")):
        async with browser.client.get(
            URL(where.format(known), encoded=True), headers=sent, allow_redirects=False
        ) as answer:
            body = await answer.text()
            assert answer.status == 200
            assert ("Opening the service" in body) is (status == "wrong")
            assert status == "right" or key not in body


async def test_a_navigation_that_says_so_and_a_token_need_no_page(browser: Browser) -> None:
    said = await browser.fetch("", headers=browser.proxy.navigation)
    assert said.status == 307
    assert "Set-Cookie" not in said.headers or KEY_COOKIE not in str(said.headers.getall("Set-Cookie"))
    assert (await browser.proxy.fetch("echo", headers=PERSON)).status == 200


async def test_the_cookie_never_reaches_a_service(browser: Browser) -> None:
    sent = {"Cookie": f"{KEY_COOKIE}={'k' * 22}; mine=1"}
    answer = await browser.proxy.fetch("echo", headers=sent)
    assert answer.sent["cookie"] == "mine=1"


async def test_a_refusal_is_embedded_by_no_page_that_could_read_its_address(
    browser: Browser, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.endpoints["tiny"] = RuntimeError("none")
    key, _ = cookie_of(await browser.fetch("", headers=PERSON))
    root, rest = browser.proxy.prefix().split("local/")
    where = f"{browser.proxy.origin}{root}~{key}/local/{rest}"
    async with browser.client.get(
        URL(where, encoded=True), headers=PERSON | {"Cookie": browser.cookie}
    ) as answer:
        assert answer.status == 500
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    monkeypatch.setenv("JUPYTERHUB_HOST", "https://hub.example")  # A domain for each user.
    alone = await browser.fetch("", headers=PERSON)
    assert "frame-ancestors 'self'" in alone.headers["Content-Security-Policy"]


class Neighbour(web.RequestHandler):
    """A page of another person's server, which has the same origin."""

    def get(self) -> None:
        """Answer it."""
        self.finish("<!DOCTYPE html><title>neighbour</title><p>Hello")


@asynccontextmanager
async def opened(proxy: Proxy, tmp_path: Path) -> AsyncIterator[Page]:
    """A page of the person's browser, which is logged in at a host that is not this machine's name."""
    chromium = need("chromium", "what pages of one origin may do is the browser's word")
    flags = [*FLAGS, f"--host-resolver-rules=MAP {HOST} 127.0.0.1", "--no-proxy-server"]
    proxy.app.web_app.add_handlers(".*$", [("/b/.*", Neighbour)])
    with proxy.settings(allow_remote_access=True):
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                str(tmp_path / "profile"), executable_path=chromium, args=flags
            )
            page = context.pages[0]
            await page.goto(f"http://{HOST}:{proxy.port}/a%40b/login?token={proxy.token}")
            yield page
            await context.close()


@pytest.mark.timeout(120)
async def test_in_a_browser_that_sends_no_fetch_metadata(proxy: Proxy, tmp_path: Path) -> None:
    async with opened(proxy, tmp_path) as person:
        origin = f"http://{HOST}:{proxy.port}"
        service = origin + proxy.prefix()
        arrived = await person.goto(f"{service}echo?a=b#c")
        assert arrived is not None
        await person.wait_for_url(re.compile(r".*/~[\w-]{22}/local/.*/echo\?a=b#c$"))
        key = person.url.partition("~")[2].partition("/")[0]
        seen = await person.evaluate("async () => (await fetch('echo')).json()")
        sent = {name.lower(): value for name, value in seen["headers"]}
        assert "sec-fetch-mode" not in sent
        assert key not in sent.get("cookie", "")

        neighbour = await person.context.new_page()
        await neighbour.goto(f"{origin}/b/page")
        assert await neighbour.title() == "neighbour"
        for path in ("", "echo", "absent/"):
            assert key not in await neighbour.evaluate(READ, service + path)
        assert await neighbour.evaluate(FRAME, service) is None, "the page is not to be embedded"
        assert key not in await neighbour.evaluate(PRETEND, service)
        await neighbour.goto(f"{origin}/b/page")
        keyed = service.replace("services/", f"services/~{'A' * 22}/")
        assert key not in await neighbour.evaluate(READ, keyed + "echo")
