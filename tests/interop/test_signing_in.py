"""A backend from its address to its sessions, as a person adds it in the panel."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Lab
from tests.browser.steps import ask_for, open_panel, row
from tests.manager.world import contact

WRONG = "wrong-secret-of-somebody"


def shot(page: Page, name: str) -> None:
    """A picture of the page, if somebody wants some."""
    if folder := os.environ.get("JUPYTER_SESSIONS_SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png")


def test_a_backend_is_added_and_signed_in_to(page: Page, lab: Lab) -> None:
    open_panel(page)
    ask_for(page, "1", name="shown-there").get_by_role("button", name="Create").click()
    expect(row(page, "shown-there")).to_have_attribute("data-status", "RUNNING")
    manager = contact()

    page.get_by_role("button", name="Add backend…").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Kind").select_option("Skaha (CANFAR)")
    form.get_by_label("Address").fill(f"{manager.url}/skaha")
    form.get_by_label("Name").fill("sky")
    shot(page, "add")
    form.get_by_role("button", name="Add", exact=True).click()

    signing = page.get_by_role("dialog", name="Sign in to sky")
    token = signing.get_by_label("Token")
    expect(token).to_have_attribute("type", "password")
    token.fill(WRONG)
    signing.get_by_role("button", name="Sign in").click()
    expect(signing.get_by_role("alert")).to_contain_text("This token is not valid here.")
    expect(token).to_be_focused()
    shot(page, "refused")
    signing.get_by_role("button", name="Cancel").click()
    there = page.locator("[data-group=sky]")
    expect(there.get_by_role("alert")).to_contain_text("jupyter session login sky")
    shot(page, "panel-refused")

    there.get_by_role("button", name="Sign in to sky").click()
    token.fill(manager.bearer())
    signing.get_by_role("button", name="Sign in").click()
    expect(signing).to_have_count(0)
    expect(there.locator("[data-session-name=shown-there]")).to_have_attribute("data-status", "RUNNING")
    expect(there).to_contain_text("Signed in")
    shot(page, "panel-signed-in")
    there.get_by_role("button", name="More about sky").click()
    page.get_by_role("menuitem", name="Sign out").click()
    expect(there.get_by_role("button", name="Sign in to sky")).to_be_visible()
    expect(there.locator("[data-session-name=shown-there]")).to_have_count(1)
    assert WRONG not in lab.log.read_text() and manager.bearer() not in lab.log.read_text()
