"""A kernel of one's own, in JupyterLab."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.steps import ask_for, card, idle, open_panel, row, run_cell


def test_a_kernel_from_the_form_and_its_notebook_to_their_ends(page: Page) -> None:
    open_panel(page)
    ask_for(page, "0.5").get_by_role("button", name="Save as kernel").click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("Display name")).to_have_value("Python 3 · 0.5 CPU · 512 MiB")
    form.get_by_label("Display name").fill("Small Python")
    expect(form.get_by_label("Name", exact=True)).to_have_value("small-python")
    form.get_by_role("button", name="Save").click()

    card(page, "Small Python").click()
    idle(page, "Small Python")
    name = run_cell(page, "import os; print(os.environ['BACKENDAI_SESSION_NAME'])").inner_text().strip()
    assert name.startswith("Untitled-")
    expect(row(page, name)).to_have_attribute("data-status", "RUNNING")
    page.get_by_role("menuitem", name="Kernel").click()
    page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()
    expect(page.locator(f"[data-session-name='{name}'][data-live=true]")).to_have_count(0)

    kernel = page.locator("[data-kernel-name=small-python]")
    kernel.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(kernel).to_have_count(0)
    page.get_by_role("button", name="New Launcher").click()
    expect(card(page, "Small Python")).to_have_count(0)
