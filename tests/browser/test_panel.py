"""The panel, as a person uses it: make a session, use its own JupyterLab, end it."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.steps import new_notebook, open_panel, row, run_cell


def test_a_session_from_the_form_to_its_end(page: Page) -> None:
    open_panel(page)
    page.get_by_role("button", name="New session").first.click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill("from-form")
    form.get_by_label("CPU").fill("1")
    form.get_by_label("Memory", exact=True).fill("512")
    form.get_by_label("Memory unit").select_option("MiB")
    form.get_by_role("button", name="Create").click()

    session = row(page, "from-form")
    expect(session).to_have_attribute("data-status", "RUNNING")
    expect(session).to_contain_text("1 CPU · 512 MiB")

    with page.context.expect_page() as opened:
        session.get_by_role("link", name="jupyter").click()
    inner = opened.value
    inner.get_by_role("tab", name="Launcher").wait_for(timeout=60_000)
    assert "/jupyter-sessions/services/local/" in inner.url
    new_notebook(inner)
    shown = run_cell(inner, "import os; print(os.environ['BACKENDAI_SESSION_NAME'], 6 * 7)")
    expect(shown).to_have_text("from-form 42")
    inner.close()

    session.get_by_role("button", name="Terminate").click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    expect(page.locator("[data-session-name=from-form][data-live=true]")).to_have_count(0)


def test_what_cannot_be_had_is_disabled_and_says_why(page: Page) -> None:
    open_panel(page)
    page.get_by_role("button", name="New session").first.click()
    form = page.get_by_role("dialog")
    expect(form.get_by_label("GPU")).to_be_disabled()
    expect(form).to_contain_text("This machine has no GPU")
    form.get_by_label("Name").fill("x")
    expect(form).to_contain_text("4 to 64")
    form.get_by_role("button", name="Cancel").click()
