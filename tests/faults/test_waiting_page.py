"""A notebook whose session waits: what it shows, and how it is given up."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from jupyter_sessions.kernels import specs
from tests.browser.conftest import TOKEN, Lab
from tests.browser.steps import ask_for, open_panel, row

CODE = "import os; print(os.environ['BACKENDAI_SESSION_NAME'], 6 * 7)"
THERE = re.compile(r"Small \| (Idle|Busy)")
WAITS = "is waiting for another session to end"


def write(file: Path) -> None:
    """A notebook with one cell, for the kernel `small`."""
    cell = {"cell_type": "code", "id": "c", "source": CODE, "metadata": {}, "outputs": []}
    kernelspec = {"name": "small", "display_name": "Small", "language": "python"}
    notebook = {"cells": [cell | {"execution_count": None}], "metadata": {"kernelspec": kernelspec}}
    file.write_text(json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 5}))


class Hands:
    """Opens the notebook and runs its cell."""

    def __init__(self, lab: Lab, page: Page) -> None:
        self._page = page
        self._place = f"{lab.url}lab/tree/one.ipynb?token={TOKEN}"
        self._cell = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").first
        self.output = self._cell.locator(".jp-OutputArea")
        self.sessions = page.locator("[data-session-name^='one-'][data-live=true]")

    def open(self) -> Locator:
        """Load the page, run the cell, and see that it waits; the session's row."""
        self._page.goto(self._place)
        self._page.get_by_text(THERE).wait_for(timeout=60_000)
        self._cell.locator(".cm-content").click()
        self._page.keyboard.press("Control+Enter")
        expect(self.output).to_contain_text(WAITS)
        expect(self.sessions).to_have_count(1)
        expect(self.sessions).to_have_attribute("data-status", "PENDING")
        return self.sessions

    def gone(self) -> None:
        """Wait until nothing is left of the session, and its notebook knows."""
        expect(self.sessions).to_have_count(0)
        self._page.get_by_text("No Kernel").first.wait_for()

    def end(self, session: Locator, button: str, answer: str) -> None:
        """End a session in the panel."""
        session.get_by_role("button", name=button).click()
        self._page.get_by_role("dialog").get_by_role("button", name=answer).click()


@pytest.mark.timeout(240)
def test_it_is_loaded_again_and_given_up_and_runs(lab: Lab, page: Page, state: Path) -> None:
    config = state.parent / "config" / "jupyter_sessions_config.json"
    config.write_text(json.dumps({"JupyterSessions": {"max_sessions": 1}}))
    resources = {"cpu": "0.5", "mem": "400m"}
    specs.add(specs.Kernel(name="small", display_name="Small", image="python", resources=resources))
    write(lab.folder / "one.ipynb")
    open_panel(page)
    ask_for(page, "0.5", name="holder").get_by_role("button", name="Create").click()
    expect(row(page, "holder")).to_have_attribute("data-status", "RUNNING")

    hands = Hands(lab, page)
    uid = hands.open().get_attribute("data-session-id")
    expect(hands.open()).to_have_attribute("data-session-id", uid or "")
    page.get_by_role("button", name="Interrupt the kernel").click()
    expect(hands.output).to_have_text(re.compile("^KeyboardInterrupt: "))
    hands.gone()

    hands.end(hands.open(), "Cancel", "Cancel session")
    expect(hands.output).to_have_text(re.compile(r"^SessionEnded: .* was cancelled \(on request\)"))
    hands.gone()

    hands.open()
    hands.end(row(page, "holder"), "Terminate", "Terminate")
    expect(hands.output).to_have_text(re.compile(r"^one-\w+ 42\s*$"))
