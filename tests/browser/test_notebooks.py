"""Notebooks on sessions, in JupyterLab and in Notebook 7."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from jupyter_sessions.kernels import specs
from tests.browser import script
from tests.browser.conftest import TOKEN, Lab
from tests.browser.steps import ask_for, idle, open_panel, row, run_cell

DIRTY = re.compile(r"\bjp-mod-dirty\b")


def card(page: Page, title: str) -> Locator:
    """A kernel in the launcher in front."""
    return page.locator(f".jp-LauncherCard[data-category=Notebook][title='{title}']:visible")


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


def test_a_notebook_finds_its_session_again(page: Page, lab: Lab) -> None:
    open_panel(page)
    ask_for(page, "0.5", name="kept").get_by_role("button", name="Create").click()
    expect(card(page, "Session kept")).to_be_visible()
    row(page, "kept").get_by_role("button", name="Open notebook").click()
    idle(page, "Session kept")
    run_cell(page, "x = 41", output=False)
    notebook = page.locator(".lm-TabBar-tab", has_text="Untitled.ipynb").first
    expect(notebook).to_have_class(DIRTY)
    page.keyboard.press("Control+s")
    expect(notebook).not_to_have_class(DIRTY)
    file = lab.folder / "Untitled.ipynb"
    saved = file.read_bytes()
    page.goto("about:blank")
    lab.stop()
    lab.start()

    page.goto(f"{lab.url}lab/tree/{file.name}?token={TOKEN}")
    idle(page, "Session kept")
    expect(notebook).not_to_have_class(DIRTY)
    assert file.read_bytes() == saved
    assert run_cell(page, "print(x + 1)").inner_text().strip() == "42"
    page.keyboard.press("Control+s")
    expect(notebook).not_to_have_class(DIRTY)
    notebook.locator(".lm-TabBar-tabCloseIcon").click()

    card(page, "Python 3 (ipykernel)").click()
    idle(page, "Python 3 (ipykernel)")
    row(page, "kept").get_by_role("button", name="More actions").focus()
    page.keyboard.press("Enter")
    page.get_by_role("menuitem", name="Use for this notebook").click()
    idle(page, "Session kept")
    assert run_cell(page, "print(x + 2)", count=3).inner_text().strip() == "43"

    page.get_by_role("button", name="New Launcher").click()
    expect(card(page, "Session kept")).to_be_visible()
    row(page, "kept").get_by_role("button", name="Terminate").click()
    page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    expect(card(page, "Session kept")).to_have_count(0)


@pytest.mark.parametrize("front_end", ["lab/tree", "notebooks"])
def test_the_scripted_notebook(lab: Lab, tab: Page, front_end: str) -> None:
    kernel = specs.Kernel(
        name="small", display_name="Small", image="python", resources={"cpu": "1", "mem": "512m"}
    )
    specs.add(kernel)
    script.write(lab.folder / "script.ipynb", kernel.name, kernel.display_name)
    hands = script.Hands(tab)
    hands.open(f"{lab.url}{front_end}/script.ipynb?token={TOKEN}")
    hands.play()
