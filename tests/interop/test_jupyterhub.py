"""Two users behind a real JupyterHub without a domain for each: what one's page may do to the other's sessions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.browser.conftest import FLAGS
from tests.browser.steps import new_notebook, run_cell
from tests.conftest import need
from tests.interop.hub import NEIGHBOUR, PASSWORD, VICTIM, Hub, running

UNSAFE = ["POST", "PUT", "PATCH", "DELETE"]
_FETCH = """async ([method, url]) => {
    const sent = {method, headers: {Accept: "text/html", "X-XSRFToken": "guessed"}, referrer: url};
    const answer = await fetch(url, method === "GET" ? sent : {...sent, body: "{}"});
    return {status: answer.status, url: answer.url};
}"""
_SOCKET = """url => new Promise(resolve => {
    const socket = new WebSocket(url.replace("http", "ws"));
    socket.onopen = () => resolve("open");
    socket.onerror = () => resolve("refused");
})"""


@pytest.fixture
def hub(state: Path, tmp_path: Path) -> Iterator[Hub]:
    """The hub with both servers."""
    folder = tmp_path / "hub"
    folder.mkdir()
    with running(folder, state) as made:
        yield made


@pytest.fixture
def session(hub: Hub) -> str:
    """The id of a session of the victim."""
    spec = {"image": "python", "name": "mine", "resources": {"cpu": "1", "mem": "1g"}}
    sessions = hub.server(VICTIM) + "jupyter-sessions/sessions"
    made = hub.ask("POST", sessions, json=spec)
    assert made.status_code == 202, made.text
    identifier: str = made.json()["id"]
    hub.wait(lambda: hub.ask("GET", f"{sessions}/local/{identifier}").json()["status"] == "RUNNING")
    return identifier


@pytest.fixture
def victim(hub: Hub, tmp_path: Path) -> Iterator[BrowserContext]:
    """The victim's browser, which is logged in and has opened JupyterLab."""
    chromium = need("chromium", "what pages of one origin may do is the browser's word")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"), executable_path=chromium, args=FLAGS
        )
        page = context.pages[0]
        page.goto(hub.server(VICTIM) + "lab")
        page.get_by_label("Username").fill(VICTIM)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("tab", name="Launcher").wait_for(timeout=60_000)
        yield context
        page.screenshot(path=tmp_path / "last.png")
        context.close()


@pytest.mark.timeout(300)
def test_a_neighbours_page_cannot_drive_a_session(hub: Hub, session: str, victim: BrowserContext) -> None:
    service = f"{hub.server(VICTIM)}jupyter-sessions/services/local/{session}/jupyter/"
    page = victim.new_page()
    page.goto(service)
    page.get_by_role("tab", name="Launcher").wait_for(timeout=60_000)
    new_notebook(page)  # The session's own JupyterLab works: its page's requests, and its WebSockets.
    assert run_cell(page, "6 * 7").inner_text() == "42"
    kernels = json.loads(
        page.evaluate("async url => (await fetch(url)).text()", page.url.split("lab")[0] + "api/kernels")
    )
    assert len(kernels) == 1

    neighbour = victim.new_page()
    neighbour.goto(hub.server(NEIGHBOUR))
    assert neighbour.title() == "neighbour"
    for method in UNSAFE:
        ours, its = (
            _fetch(neighbour, method, where + "api/kernels") for where in (service, hub.server(VICTIM))
        )
        assert ours["status"] == 403, (method, ours)
        assert its["status"] in (403, 405), (method, its)
    read = _fetch(neighbour, "GET", service + "api/kernels")
    assert read["status"] == 403
    assert "~" not in read["url"]
    for path in (f"api/kernels/{kernels[0]['id']}/channels", "terminals/websocket/1"):
        assert neighbour.evaluate(_SOCKET, service + path) == "refused"


def _fetch(page: Page, method: str, url: str) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(_FETCH, [method, url])
    return found
