"""A real JupyterLab and a real Chromium.

* `lab`: JupyterLab on a free port with the package as installed, and its own state.
* `page`: a page of a fresh Chromium profile, open at that JupyterLab; fails on console errors.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from tests.conftest import need
from tests.ports import free_port, wait_for_port

TOKEN = "browser"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {"@jupyterlab/apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}'}


class Lab(NamedTuple):
    """A running JupyterLab."""

    url: str
    folder: Path
    log: Path


@pytest.fixture
def lab(state: Path, tmp_path: Path) -> Iterator[Lab]:
    """JupyterLab, ended afterwards."""
    notebooks, log = tmp_path / "notebooks", tmp_path / "lab.log"
    notebooks.mkdir()
    for name, text in SETTINGS.items():
        file = tmp_path / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={notebooks}"),
        *(f"--IdentityProvider.token={TOKEN}", f"--LabApp.user_settings_dir={tmp_path / 'settings'}"),
        f"--LabApp.workspaces_dir={tmp_path / 'workspaces'}",
    ]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, env=dict(os.environ))
    try:
        wait_for_port(port, server)
        yield Lab(f"http://127.0.0.1:{port}/", notebooks, log)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


@pytest.fixture
def page(lab: Lab, tmp_path: Path) -> Iterator[Page]:
    """A page at JupyterLab's launcher; errors on its console, and on those it opens, fail the test."""
    chromium = need("chromium", "the panel is tested in a real browser")
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            errors.append(f"{message.text} ({message.location.get('url')})")

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=chromium,
            args=FLAGS,
            viewport={"width": 1280, "height": 800},
        )
        context.set_default_timeout(30_000)
        context.on("console", note)
        page = context.pages[0]
        page.goto(f"{lab.url}lab?token={TOKEN}")
        page.get_by_role("tab", name="Launcher").wait_for()
        yield page
        context.close()
    assert errors == []
