"""Pages of services as a person sees them: the terminal, and what comes before a service is ready or after its end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import TOKEN, Lab
from tests.browser.steps import open_panel
from tests.browser.steps import row as row_of
from tests.waiting import wait_until

PLUGINS = Path(__file__).parents[1] / "resources" / "service_plugins"


@pytest.fixture
def row(tab: Page, lab: Lab) -> dict[str, Any]:
    """A session that has plug-ins."""
    environ = {"PYTHONPATH": str(PLUGINS), "SHELL": "/bin/bash"}
    spec = {"name": "demo", "image": "python3", "resources": {"cpu": 1, "mem": "512m"}, "environ": environ}
    made = ask(tab, lab, "POST", "sessions", spec)
    place = f"sessions/local/{made['id']}/services"
    wait_until(lambda: "slow" in [one["name"] for one in ask(tab, lab, "GET", place)["services"]])
    return dict(made)


def ask(page: Page, lab: Lab, method: str, path: str, body: Any = None) -> Any:
    """The extension's answer."""
    headers = {"Authorization": f"token {TOKEN}"}
    url = f"{lab.url}jupyter-sessions/{path}"
    return page.request.fetch(url, method=method, data=body, headers=headers).json()


def open_service(page: Page, lab: Lab, row: dict[str, Any], name: str, query: str = "") -> None:
    """Open a service's page as its link does; the token logs in."""
    page.goto(f"{lab.url}login?token={TOKEN}")
    page.goto(f"{lab.url}jupyter-sessions/services/local/{row['id']}/{name}/{query}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_terminal(tab: Page, lab: Lab, row: dict[str, Any], scheme: Any, tmp_path: Path) -> None:
    tab.emulate_media(color_scheme=scheme)
    open_service(tab, lab, row, "terminal")
    expect(tab).to_have_title("Terminal · demo")
    screen = tab.locator(".xterm-rows")
    expect(screen).to_contain_text(re.compile(r"[#$]"))
    tab.keyboard.type(
        "PS1='$ '; clear; ls --color=always /; tput cols; echo $BACKENDAI_SESSION_NAME: größer\n"
    )
    expect(screen).to_contain_text("demo: größer")
    ground = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(17, 17, 17)")
    columns = tab.evaluate("document.querySelector('.xterm-screen').clientWidth")
    assert columns > 0.9 * tab.viewport_size["width"]  # type: ignore[index]
    tab.screenshot(path=tmp_path / f"terminal-{scheme}.png")
    tab.reload()
    expect(screen).to_contain_text("demo: größer")
    tab.keyboard.type("exit\n")
    expect(tab.get_by_role("status")).to_contain_text("The shell has ended.")
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("status")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_before_and_after(
    tab: Page, lab: Lab, row: dict[str, Any], scheme: Any, tmp_path: Path
) -> None:
    lab.is_to_fail = True  # The browser reports 409.
    tab.emulate_media(color_scheme=scheme)
    open_service(tab, lab, row, "slow")
    expect(tab.get_by_role("heading", name="Starting slow")).to_be_visible()
    expect(tab.get_by_role("timer")).to_have_text(re.compile(r"\d+ s"))
    expect(tab.locator("pre")).to_contain_text("warming up")
    tab.screenshot(path=tmp_path / f"starting-{scheme}.png")
    expect(tab.locator("body")).to_contain_text('"greeting": "hello"')
    open_service(tab, lab, row, "dying")
    expect(tab.get_by_role("heading")).to_contain_text(
        ["The service 'dying' has ended (exit status 1).", "Log"]
    )
    expect(tab.locator("pre")).to_contain_text("no licence for")
    tab.screenshot(path=tmp_path / f"ended-{scheme}.png")
    tab.get_by_role("button", name="Start again").click()
    expect(tab.get_by_role("heading", name="The service 'dying' has ended")).to_be_visible()


def test_a_terminal_in_a_tab_of_jupyterlab(page: Page, lab: Lab, row: dict[str, Any], tmp_path: Path) -> None:
    open_panel(page)
    link = row_of(page, "demo").get_by_role("link", name="Terminal")
    link.click()
    expect(page.get_by_role("tab", name="Terminal of demo")).to_be_visible()
    frame = page.frame_locator(".jp-IFrame iframe")
    screen = frame.locator(".xterm-rows")
    expect(screen).to_contain_text(re.compile(r"[#$]"))
    frame.locator(".xterm").click()
    page.keyboard.type("echo $BACKENDAI_SESSION_NAME-$((40+2))\n")
    expect(screen).to_contain_text("demo-42")
    page.screenshot(path=tmp_path / "tab.png")
    link.click()
    expect(page.get_by_role("tab", name="Terminal of demo")).to_have_count(1)
