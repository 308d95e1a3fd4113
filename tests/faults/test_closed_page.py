"""A notebook is closed and the server killed while it runs; what it printed meanwhile is inserted."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Request, expect

from jupyter_sessions.kernels import specs
from tests.browser.conftest import TOKEN, Lab
from tests.manager.world import configure

RICH = """import base64
from IPython.display import HTML, Image, display
pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
display(Image(base64.b64decode(pixel), format="png"))
display(HTML("<b class='rich'>rich</b><script>document.title = 'owned'</script>"))"""
LINES = """import os, time
for number in range(60):
    print("line", number, flush=True)
    time.sleep(0.05)
    while number == 40 and not os.path.exists("go"):
        time.sleep(0.05)"""


def write(file: Path, *codes: str) -> None:
    """A notebook with these cells, for a session of its own."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "source": code,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, code in enumerate(codes)
    ]
    kernelspec = {"name": "owned", "display_name": "Owned", "language": "python"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 5}
    file.write_text(json.dumps(notebook))


def outputs(file: Path) -> list[list[Any]]:
    """The outputs of each cell in a notebook's file."""
    return [cell["outputs"] for cell in json.loads(file.read_text())["cells"]]


def cell(page: Page, place: int) -> Locator:
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(place)


def prompt(page: Page, place: int) -> Locator:
    return cell(page, place).locator(".jp-InputPrompt").first


def _is_checkpoint(request: Request) -> bool:
    return request.method == "POST" and "/checkpoints" in request.url


@pytest.mark.timeout(240)
def test_a_tab_is_closed_and_the_server_killed_while_it_runs(lab: Lab, tab: Page, state: Path) -> None:
    configure(state, owner_grace=600)  # A busy machine may need long to start JupyterLab.
    resources = {"cpu": "1", "mem": "512m"}
    specs.add(specs.Kernel(name="owned", display_name="Owned", image="python", resources=resources))
    write(lab.folder / "loop.ipynb", RICH, LINES)
    place = f"{lab.url}lab/tree/loop.ipynb?token={TOKEN}"
    tab.goto(place)
    tab.get_by_text("Owned | Idle").wait_for(timeout=60_000)
    cell(tab, 0).locator(".cm-content").click()
    tab.keyboard.press("Shift+Enter")
    tab.keyboard.press("Shift+Enter")
    expect(cell(tab, 1).locator(".jp-OutputArea-output")).to_contain_text("line 3", timeout=60_000)
    page = tab.context.new_page()
    tab.close()
    lab.stop(signal.SIGKILL)
    assert outputs(lab.folder / "loop.ipynb") == [[], []]

    lab.start()
    page.goto(place)
    button = page.get_by_role("button", name="Insert missed output")
    button.wait_for(timeout=60_000)
    expect(page.locator(".jp-OutputArea-output")).to_have_count(0)
    button.click()
    expect(cell(page, 1).locator(".jp-OutputArea-output")).to_contain_text("line 40")
    expect(prompt(page, 0)).to_have_text("[1]:")
    expect(prompt(page, 1)).to_have_text("[*]:")
    (lab.folder / "go").touch()
    text = "".join(f"line {number}\n" for number in range(60))
    expect(prompt(page, 1)).to_have_text("[2]:")
    expect(cell(page, 0).locator("b.rich")).to_have_text("rich")
    expect(cell(page, 0).locator("img[src^='data:image/png']")).to_have_count(1)

    page.keyboard.press("Control+Shift+c")
    page.keyboard.insert_text("Insert missed output")
    page.keyboard.press("Enter")
    page.get_by_text("No output is missing.").wait_for()
    cell(page, 1).locator(".jp-OutputArea-output").click()
    with page.expect_response(lambda answer: _is_checkpoint(answer.request)):  # The last step of saving.
        page.keyboard.press("Control+s")
    rich, lines = outputs(lab.folder / "loop.ipynb")
    assert [output["output_type"] for output in rich] == ["display_data", "display_data"]
    assert [("".join(output["text"]), output["name"]) for output in lines] == [(text, "stdout")]
    assert "owned" not in page.title()
