"""JupyterLab with this machine and a real Backend.AI manager side by side, as a person uses them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocket, expect

from jupyter_sessions.backends.backendai import BackendAI
from jupyter_sessions.testing import end_sessions
from tests.browser.conftest import Lab
from tests.browser.steps import ask_for, new_notebook, open_panel, row, run_cell
from tests.interop.backendai_server import Server


@pytest.fixture
def both(state: Path, tmp_path: Path, backendai: Server) -> Iterator[None]:
    """Both are configured, before JupyterLab starts; the sessions of the real one are ended."""
    settings = {"backends": {"lab": backendai.options() | {"title": "Cluster"}}}
    file = tmp_path / "config" / "jupyter_sessions_config.json"
    file.write_text(json.dumps({"JupyterSessions": settings}))
    yield
    asyncio.run(_end_all(backendai))


async def _end_all(server: Server) -> None:
    backend = BackendAI("lab", **{key: value for key, value in server.options().items() if key != "type"})
    await end_sessions(backend)
    await backend.close()


class Traffic:
    """What a page asks of the extension, and what is pushed to it."""

    def __init__(self, page: Page) -> None:
        self.asked: list[str] = []
        self.pushed: list[str] = []
        page.on("request", lambda request: self.asked.append(f"{request.method} {request.url}"))
        page.on("websocket", self._hear)

    def _hear(self, socket: WebSocket) -> None:
        if "/api/events/subscribe" in socket.url:
            socket.on("framereceived", lambda frame: self.pushed.append(str(frame)))

    def told(self, name: str) -> list[str]:
        """The statuses of a session in the order in which they were pushed."""
        changes = [change for text in self.pushed for change in json.loads(text).get("changes", [])]
        sessions = [change["session"] for change in changes if change["op"] == "put"]
        return [session["status"] for session in sessions if session["name"] == name]


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("both")
def test_both_backends_in_panel_and_notebook(lab: Lab, tab: Page) -> None:
    traffic = Traffic(tab)
    tab.goto(f"{lab.url}lab?token=browser")
    open_panel(tab)
    expect(tab.get_by_role("region", name="Compute sessions")).to_contain_text("Cluster")
    form = ask_for(tab, "1", name="from-the-form")
    form.get_by_label("Backend").select_option("lab")
    form.get_by_label("CPU").fill("1")
    form.get_by_label("Memory", exact=True).fill("512")
    form.get_by_label("Memory unit").select_option("MiB")
    form.get_by_role("button", name="Create").click()
    session = row(tab, "from-the-form")
    session.wait_for()
    before = len(traffic.asked)
    expect(session).to_have_attribute("data-status", "RUNNING", timeout=60_000)
    expect(session).to_have_attribute("data-backend", "lab")
    assert traffic.told("from-the-form")[-1] == "RUNNING"
    assert not [asked for asked in traffic.asked[before:] if "/jupyter-sessions/sessions" in asked]

    new_notebook(tab)
    run_cell(tab, "%load_ext jupyter_sessions", output=False)
    cells = tab.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell")
    run_cell(tab, "%session create python --backend lab --cpu 1 --name from-magic")
    expect(cells.nth(1)).to_contain_text("Running", timeout=60_000)
    run_cell(tab, "%session create python --cpu 1 --mem 512m --name on-this-machine")
    expect(cells.nth(2)).to_contain_text("Running", timeout=60_000)
    listed = run_cell(tab, "%session ps").locator("table")
    waits = "%session create python --backend lab --cpu 900 --mem 512m --name waits --enqueue-only"
    run_cell(tab, waits)  # Why it waits is told by no event.
    expect(row(tab, "waits")).to_contain_text("Waiting for a machine with room", timeout=60_000)
    for name, backend in (("from-the-form", "lab"), ("from-magic", "lab"), ("on-this-machine", "local")):
        expect(row(tab, name)).to_have_attribute("data-backend", backend)
        expect(listed.get_by_role("row").filter(has_text=name)).to_contain_text(backend)
        expect(listed.get_by_role("row").filter(has_text=name)).to_contain_text("Running")
