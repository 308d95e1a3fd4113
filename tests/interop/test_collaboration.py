"""Notebooks that several people have open at once, by jupyter-collaboration."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserType, Page, expect

import jupyter_sessions
from jupyter_sessions.channels.journal_messages import Selection
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from tests.browser.conftest import TOKEN, Lab, open_browser, running_lab
from tests.browser.steps import ask_for, idle, open_panel, row, run_cell
from tests.interop.venvs import collaboration

PRINTS_LATE = "import time; print('early', flush=True); time.sleep(6); print('late', flush=True)"


@pytest.fixture
def lab(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """JupyterLab with jupyter-collaboration, and the panel as it is built in this folder."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    panel = tmp_path / "labextensions" / "jupyter-sessions"
    panel.parent.mkdir()
    panel.symlink_to(Path(jupyter_sessions.__file__).parent / "labextension")
    path = f"--LabApp.extra_labextensions_path={panel.parent}"
    history = f"--SQLiteYStore.db_path={tmp_path / 'ystore.db'}"
    with running_lab(tmp_path, path, history, python=collaboration().program("python")) as made:
        yield made


@pytest.mark.timeout(300)
def test_output_that_nobody_saw_is_offered(page: Page, lab: Lab) -> None:
    """The cell's state is shared, and stays "running" when the page that ran the cell is closed."""
    notebook_on_session(page)
    run_cell(page, "x = 41", output=False)
    page.locator(".jp-CodeCell .cm-content").last.click()
    page.keyboard.insert_text(PRINTS_LATE)
    page.keyboard.press("Shift+Enter")
    cell = page.locator(".jp-CodeCell").nth(1)
    expect(cell.locator(".jp-OutputArea")).to_contain_text("early")
    page.goto("about:blank")
    in_thread(ended_cell("shared"))

    page.goto(f"{lab.url}lab/workspaces/again/tree/Untitled.ipynb?token={TOKEN}")
    idle(page, "Session shared")
    expect(cell.locator(".jp-InputPrompt").first).to_have_text("[*]:")
    page.get_by_role("button", name="Insert missed output").click()
    expect(cell.locator(".jp-OutputArea")).to_contain_text("late")
    expect(cell.locator(".jp-InputPrompt").first).to_have_text("[2]:")


@pytest.mark.timeout(300)
def test_the_question_before_an_end_says_who_else_has_the_notebook_open(
    page: Page, lab: Lab, chromium: BrowserType, tmp_path: Path
) -> None:
    notebook_on_session(page)
    with open_browser(chromium, lab, tmp_path / "other") as other:
        other.goto(f"{lab.url}lab/tree/Untitled.ipynb?token={TOKEN}")
        idle(other, "Session shared")
        page.get_by_role("menuitem", name="Kernel", exact=True).click()
        page.get_by_role("menuitem", name="Shut Down Kernel", exact=True).click()
        question = page.get_by_role("dialog")
        expect(question).to_contain_text("Shut down the kernel of Untitled.ipynb?")
        expect(question).to_contain_text("It is open for Anonymous")
        question.get_by_role("button", name="Cancel").click()
        idle(other, "Session shared")

        row(page, "shared").get_by_role("button", name="Terminate").click()
        question = page.get_by_role("dialog")
        expect(question).to_contain_text("This notebook runs in it: Untitled.ipynb.")
        expect(question).to_contain_text("They are also open for Anonymous")
        question.get_by_role("button", name="Terminate").click()
        notice = other.locator(".jp-NotebookPanel").get_by_role("alert")
        expect(notice).to_contain_text("Session 'shared' ended")


def notebook_on_session(page: Page) -> None:
    """Open a notebook on a new session."""
    open_panel(page)
    ask_for(page, "0.5", name="shared").get_by_role("button", name="Create").click()
    row(page, "shared").get_by_role("button", name="Open notebook").click()
    idle(page, "Session shared")


def in_thread(work: object) -> None:
    """Run a coroutine; in a thread, as Playwright's loop runs in this one."""
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    thread.join()


async def ended_cell(name: str) -> None:
    """Wait until nothing runs in a session any more."""
    service = SessionService(JupyterSessions())
    found = await service.find(name)
    while (await service.outputs(found.backend, found.id, Selection())).executions[-1].status == "running":
        await asyncio.sleep(0.1)
    await service.close()
