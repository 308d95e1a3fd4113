"""The README's picture: sessions on this machine and on a cluster, and a notebook that runs in one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserType, Page, expect

from tests.browser.conftest import TOKEN, open_browser, running_lab
from tests.browser.gallery.pictures import MEASURE, problems_of
from tests.browser.gallery.scenes import CLUSTER, row, tell
from tests.browser.gallery.stage import CONTEXT, PANEL, RESOURCES, Stage
from tests.browser.steps import ask_for, idle, open_panel, run_cell
from tests.browser.steps import row as row_of

PICTURE = Path(__file__).parents[3] / ".readme" / "panel.png"
SIZE = {"width": 1280, "height": 720}
TRAIN = """import matplotlib.pyplot as plt
losses = [1 / (step + 1) ** 0.5 for step in range(60)]
print(f"{len(losses)} steps, loss {losses[-1]:.3f}")
plt.figure(figsize=(5, 2)); plt.plot(losses); plt.title("loss");"""
LOOK = """import os
names = ("BACKENDAI_SESSION_NAME", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
{name: os.environ[name] for name in names}"""
NIGHTLY = row(
    "nightly-batch",
    at=5,
    image="stable/python:3.11-ubuntu22.04",
    resources={"cpu": "8", "mem": "32g"},
    services=[],
)


@pytest.fixture
def page(
    state: Path, tmp_path: Path, chromium: BrowserType, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Page]:
    """JupyterLab with this machine, of which a part is offered, and a cluster."""
    monkeypatch.setenv("PYTHONPATH", str(RESOURCES))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    file = tmp_path / "cluster.json"
    tell(file, CLUSTER | {"rows": [NIGHTLY]})
    settings = {
        "backends": {"cluster": {"type": "scripted", "title": "Cluster", "file": str(file)}},
        "max_resources": {"cpu": "2", "mem": "16g"},
        "gpus": ["0", "1"],
    }
    config = tmp_path / "config" / "jupyter_sessions_config.json"
    config.write_text(json.dumps({"JupyterSessions": settings}))
    options = CONTEXT | {"viewport": SIZE}
    with running_lab(tmp_path) as lab, open_browser(chromium, lab, tmp_path, **options) as made:
        made.goto(f"{lab.url}lab?token={TOKEN}")
        made.get_by_role("tab", name="Launcher").wait_for()
        yield made


def ask(page: Page, name: str, cpu: str, gib: str) -> None:
    """Ask for a session with a GPU."""
    form = ask_for(page, cpu, name=name)
    form.get_by_label("Memory", exact=True).fill(gib)
    form.get_by_label("Memory unit").select_option("GiB")
    form.get_by_label("GPU").fill("1")
    form.get_by_role("button", name="Create").click()
    page.get_by_role("dialog").wait_for(state="detached")


@pytest.mark.timeout(300)
def test_the_picture_of_the_readme(page: Page, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    open_panel(page)
    Stage(page, tmp_path, "", lambda: None).widen(300)
    ask(page, "training", "1", "2")
    expect(row_of(page, "training")).to_have_attribute("data-status", "RUNNING")
    row_of(page, "training").get_by_role("button", name="Open notebook").click()
    idle(page, "Session training")
    run_cell(page, TRAIN)
    expect(page.locator(".jp-OutputArea img")).to_be_visible()
    shown = run_cell(page, LOOK)
    expect(shown).to_contain_text("'OMP_NUM_THREADS': '1'")
    ask(page, "next-run", "2", "4")
    expect(row_of(page, "next-run")).to_contain_text("Waiting for 2 CPUs (1 free).")
    expect(page.locator("[data-group=local]")).to_contain_text("1 of 2 CPU · 14 of 16 GiB · 1 of 2 GPU free")

    assert problems_of(page.evaluate(MEASURE, PANEL)) == []
    page.mouse.move(900, 500)
    picture = PICTURE if request.config.getoption("renew_gallery") else tmp_path / "panel.png"
    picture.write_bytes(page.screenshot(animations="disabled"))
