"""A notebook whose session has ended: what it says, and how it goes on."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import TOKEN, Lab
from tests.browser.steps import ask_for, card, idle, open_panel, row, run_cell

AN_ID = re.compile(r"session-local|[0-9a-f]{8}-[0-9a-f]{4}")
SPENDS_ALL = "import time; print('spending', flush=True); time.sleep(1); x = bytearray(900 * 1024**2)"


def test_a_notebook_says_that_its_session_ended_and_starts_it_again(page: Page) -> None:
    notebook = on_session(page, "beta")
    run_cell(page, "x = 41", output=False)
    terminate(page, "beta", "This notebook runs in it: Untitled.ipynb.")

    notice = notebook.get_by_role("alert")
    expect(notice).to_have_text(re.compile(r"Session 'beta' ended at \d.* \(on request\)\."))
    expect(notebook.locator(".jp-KernelName")).to_have_text("No Kernel")
    expect(page.locator("#jp-main-statusbar")).not_to_contain_text(AN_ID)
    type_and_run(page, "print(2)")
    chooser = page.get_by_role("dialog").filter(has_text="Select Kernel")
    expect(chooser).not_to_contain_text(AN_ID)
    page.keyboard.press("Escape")

    notice.get_by_role("button", name="Start again with 0.5 CPU, 512 MiB").click()
    idle(page, "Session beta")
    expect(notice).to_have_count(0)
    assert run_cell(page, "print('x' in globals())", count=1).inner_text().strip() == "False"
    expect(row(page, "beta")).to_contain_text("0.5 CPU · 512 MiB")


def test_after_too_little_memory_it_offers_twice_as_much(page: Page) -> None:
    notebook = on_session(page, "small")
    type_and_run(page, SPENDS_ALL)
    notice = notebook.get_by_role("alert")
    expect(notice).to_contain_text("Session 'small' ended at")
    expect(notice).to_contain_text(re.compile("memory|512 MiB"))
    notice.get_by_role("button", name="Start again with 0.5 CPU, 1 GiB").click()
    idle(page, "Session small")
    expect(row(page, "small")).to_contain_text("0.5 CPU · 1 GiB")


def test_a_notebook_opened_after_its_session_ended_says_so(page: Page, lab: Lab) -> None:
    notebook = on_session(page, "gone")
    run_cell(page, "x = 41", output=False)
    save_and_close(page)
    terminate(page, "gone")
    expect(card(page, "Session gone")).to_have_count(0)
    expect(row(page, "gone")).to_have_count(0)
    while page.request.get(f"{lab.url}api/kernels?token={TOKEN}").json():  # Until the server has noticed.
        page.wait_for_timeout(100)

    page.get_by_role("tab", name="File Browser").click()
    page.get_by_role("listitem", name="Name: Untitled.ipynb").dblclick()
    notice = notebook.get_by_role("alert")
    expect(notice).to_have_text(re.compile(r"Session 'gone' ended at \d.* \(on request\)\."))
    expect(notebook.locator(".jp-KernelName")).to_have_text("No Kernel")
    notice.get_by_role("button", name="Start again with 0.5 CPU, 512 MiB").click()
    idle(page, "Session gone")
    expect(notice).to_have_count(0)


def save_and_close(page: Page) -> None:
    """Save the notebook in front, close its tab, and end its kernel's connection with it."""
    page.keyboard.press("Escape")
    page.keyboard.press("Control+s")
    expect(page.locator("#jp-main-dock-panel .lm-TabBar-tab.lm-mod-current.jp-mod-dirty")).to_have_count(0)
    page.keyboard.press("Alt+w")
    expect(page.locator(".jp-NotebookPanel")).to_have_count(0)


def on_session(page: Page, name: str) -> Locator:
    """Create a session and open a notebook on it; the notebook."""
    open_panel(page)
    ask_for(page, "0.5", name=name).get_by_role("button", name="Create").click()
    row(page, name).get_by_role("button", name="Open notebook").click()
    idle(page, f"Session {name}")
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")


def terminate(page: Page, name: str, said: str = "") -> None:
    """End a session from the panel, whose question says something."""
    row(page, name).get_by_role("button", name="Terminate").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text(said)
    question.get_by_role("button", name="Terminate").click()


def type_and_run(page: Page, code: str) -> None:
    """Run code in the last cell, and wait for nothing."""
    page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .cm-content").last.click()
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
