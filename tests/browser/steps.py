"""What a person does in JupyterLab, each as one step."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect


def open_panel(page: Page) -> None:
    """Open the side panel."""
    page.get_by_role("tab", name="Compute sessions").click()
    page.get_by_role("button", name="New session").first.wait_for()


def ask_for(page: Page, cpu: str, *, name: str = "") -> Locator:
    """Fill in the form for a small session; its dialog."""
    page.get_by_role("button", name="New session").first.click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill(name)
    form.get_by_label("CPU").fill(cpu)
    form.get_by_label("Memory", exact=True).fill("512")
    form.get_by_label("Memory unit").select_option("MiB")
    return form


def idle(page: Page, kernel: str) -> None:
    """Wait until the notebook in front has that kernel, and it does nothing."""
    page.get_by_text(f"{kernel} | Idle").wait_for(timeout=60_000)


def new_notebook(page: Page) -> None:
    """Open a notebook from the launcher, and wait until its kernel is there."""
    page.locator(".jp-LauncherCard[data-category=Notebook]").first.click()
    idle(page, "(ipykernel)")


def card(page: Page, title: str) -> Locator:
    """A kernel in the launcher in front."""
    return page.locator(f".jp-LauncherCard[data-category=Notebook][title='{title}']:visible")


def row(page: Page, name: str) -> Locator:
    """A session's row in the panel."""
    return page.locator(f"[data-session-name='{name}']").first


def run_cell(page: Page, code: str, *, output: bool = True, count: int = 0) -> Locator:
    """Type code into the notebook's last cell, run it, and wait for its end; its first output.

    `count` is the kernel's number for it where others have run cells there.
    """
    notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
    notebook.locator(".jp-CodeCell").last.locator(".cm-content").click()
    cell = notebook.locator(".jp-CodeCell").last
    number = notebook.locator(".jp-CodeCell").count() - 1
    page.keyboard.insert_text(code)
    page.keyboard.press("Shift+Enter")
    cell = notebook.locator(".jp-CodeCell").nth(number)
    expect(cell.locator(".jp-InputPrompt").first).to_have_text(f"[{count or number + 1}]:", timeout=60_000)
    return cell.locator(".jp-OutputArea-output").first if output else cell
