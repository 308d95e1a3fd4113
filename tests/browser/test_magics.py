"""The magics, typed into a notebook."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.steps import new_notebook, open_panel, row, run_cell

PICTURE = """%%session from-magic
import base64, time
from IPython.display import HTML, Image, display
print("one", flush=True)
display(HTML("<b id='rich'>rich</b>"))
pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
display(Image(base64.b64decode(pixel), format="png"))
"""


def test_create_ps_run_and_rm(page: Page) -> None:
    open_panel(page)
    new_notebook(page)
    run_cell(page, "%load_ext jupyter_sessions", output=False)
    made = run_cell(page, "%session create python --cpu 1 --mem 512m --name from-magic")
    card = made.locator(".jupyter-sessions-card")
    expect(card).to_contain_text("Running")
    expect(card).to_contain_text("python3 · 1 CPU · 512 MiB")
    expect(card.locator("a", has_text="terminal")).to_have_attribute("target", "_blank")
    expect(row(page, "from-magic")).to_have_attribute("data-status", "RUNNING")

    listed = run_cell(page, "%session ps")
    expect(listed.locator("table")).to_contain_text("from-magic")

    shown = run_cell(page, PICTURE)
    expect(shown).to_contain_text("one")
    cell = page.locator(".jp-CodeCell").filter(has_text="import base64").first
    expect(cell.locator("b#rich")).to_have_text("rich")
    expect(cell.locator("img[src^='data:image/png']")).to_have_count(1)

    failed = run_cell(page, "%%session from-magic\n1/0")
    expect(failed).to_contain_text("ZeroDivisionError")

    gone = run_cell(page, "%session rm from-magic")
    expect(gone).to_contain_text("from-magic has ended.")
    expect(page.locator("[data-session-name=from-magic][data-live=true]")).to_have_count(0)


def test_a_service_and_the_notebook_itself_are_opened_from_cells(page: Page) -> None:
    open_panel(page)
    new_notebook(page)
    run_cell(page, "%load_ext jupyter_sessions", output=False)
    cell = page.locator(".jp-CodeCell")
    run_cell(page, "%session create python --cpu 0.5 --mem 256m --name linked")
    link = cell.nth(1).locator(".jp-OutputArea a", has_text="jupyter").first
    expect(link).to_have_attribute(
        "href", re.compile(r"^/(.*/)?jupyter-sessions/services/[^/]+/[^/]+/jupyter/$")
    )

    offered = run_cell(page, "%session open linked")
    with page.context.expect_page() as opened:
        offered.locator("button", has_text="Open in a tab").click()
    expect(opened.value).to_have_url(re.compile("/jupyter-sessions/services/"))
    opened.value.close()

    shown = run_cell(page, "%session info linked")
    expect(shown.locator("table")).to_contain_text("Limits and use")
    listed = run_cell(page, "%session ps")
    expect(listed.locator("table")).to_contain_text("Last Updated")

    attach = run_cell(page, "%session attach linked")
    attach.locator("button", has_text="Attach to linked").click()
    name = page.locator(".jp-Toolbar-kernelName").first
    expect(name).to_contain_text("linked")
    expect(run_cell(page, "print(6 * 7)", count=1)).to_contain_text("42")
