"""The scripted notebook of `tests.kernels.script` with a person's hands: keys, boxes and what is drawn."""

from __future__ import annotations

from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, expect

from tests.kernels.script import DISPLAY, ERROR, PLOT, SLEEP, STATE, WIDGET

ASK = "print(input('name? ')[::-1])"
CELLS = [*STATE, ASK, DISPLAY, PLOT, WIDGET, "print(slider.value)", ERROR, SLEEP, "print(x)", "x", "slid"]


def write(file: Path, kernel: str, title: str) -> None:
    """The notebook, not yet run."""
    cells = [nbformat.v4.new_code_cell(code.strip()) for code in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": title, "language": "python"}
    nbformat.write(notebook, file)


class Hands:
    """Works in the notebook that is open in a page of JupyterLab or Notebook 7."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")

    def open(self, url: str) -> None:
        """Open the notebook, and wait for its kernel; what is run before is not run at all."""
        with self.page.expect_websocket(lambda socket: "/channels" in socket.url, timeout=60_000):
            self.page.goto(url)
        self.ready()

    def play(self) -> None:
        """All of it."""
        for code in STATE:
            self.run(code)
        self.says(STATE[1], "21")
        self.run(ASK)
        box = self.cell(ASK).locator("input.jp-Stdin-input")
        box.fill("eva")
        box.press("Enter")
        self.says(ASK, "ave")
        self.run(DISPLAY)
        self.says(DISPLAY, "'second'")
        self.run(PLOT)
        expect(self.cell(PLOT).locator("img[src^='data:image/png']")).to_be_visible()
        self.move_the_slider()
        self.run(ERROR)
        self.says(ERROR, "ZeroDivisionError: division by zero")
        self.interrupt()
        self.run("print(x)")
        self.says("print(x)", "20")
        self.help()
        self.restart()
        self.run("x")
        self.says("x", "NameError")

    def ready(self) -> None:
        """Wait until the kernel does nothing."""
        self.notebook.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)

    def cell(self, code: str) -> Locator:
        """The cell with that code."""
        return self.notebook.locator(".jp-CodeCell").nth(CELLS.index(code))

    def run(self, code: str) -> None:
        """Run a cell."""
        self.cell(code).locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")

    def says(self, code: str, text: str) -> None:
        """Wait for a cell's output."""
        expect(self.cell(code).locator(".jp-OutputArea")).to_contain_text(text)

    def move_the_slider(self) -> None:
        self.run(WIDGET)
        value = self.cell(WIDGET).locator(".widget-slider .widget-readout")
        expect(value).to_have_text("7")
        value.fill("9")
        value.press("Enter")
        self.run("print(slider.value)")
        self.says("print(slider.value)", "9")

    def interrupt(self) -> None:
        """Interrupt a sleep, by key."""
        self.run(SLEEP)
        expect(self.cell(SLEEP).locator(".jp-InputPrompt").first).to_have_text("[*]:")
        self.notebook.locator(".jp-Notebook-ExecutionIndicator[data-status=busy]").wait_for()
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("i")
        self.page.keyboard.press("i")
        self.says(SLEEP, "KeyboardInterrupt")

    def help(self) -> None:
        """Have a name completed, and told about."""
        line = self.cell("slid").locator(".cm-content")
        line.click()
        self.page.keyboard.press("End")
        self.cell("slid").locator(".jp-mod-completer-enabled").wait_for()
        self.page.keyboard.press("Tab")
        # The kernel's first completion imports much, on half a CPU.
        expect(self.page.locator(".jp-Completer")).to_contain_text("slider", timeout=30_000)
        self.page.keyboard.press("Enter")
        expect(line).to_have_text("slider")
        self.page.keyboard.press("Shift+Tab")
        expect(self.page.locator(".jp-Tooltip")).to_contain_text("IntSlider")
        self.page.keyboard.press("Escape")

    def restart(self) -> None:
        """Restart the kernel, by key."""
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("0")
        self.page.keyboard.press("0")
        self.page.get_by_role("dialog").get_by_role("button", name="Confirm Kernel Restart").click()
        self.page.get_by_role("dialog").wait_for(state="detached")
        self.ready()
