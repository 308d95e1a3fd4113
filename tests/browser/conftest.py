"""A real JupyterLab and a real Chromium.

* `lab`: JupyterLab on a free port with the package as installed, and its own state; it can be restarted.
* `chromium`: starts browsers.
* `tab`: an empty page of a fresh Chromium profile; fails on console errors.
* `page`: the same at that JupyterLab.
* `stage`: a JupyterLab whose backends have exactly the sessions that a test wants.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserType, ConsoleMessage, Page, expect, sync_playwright

from tests.browser.gallery.scenes import machine, tell
from tests.browser.gallery.stage import CONTEXT, RESOURCES, Stage, configure
from tests.conftest import need
from tests.ports import free_port, wait_for_port

TOKEN = "browser"
TIMEOUT_MS = 30_000
expect.set_options(timeout=TIMEOUT_MS)  # Five seconds are short on a machine that does something else, too.
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
# JupyterLab's debugger says so of a notebook that is left before its kernel has answered about breakpoints.
ITS_OWN = ("Could not restore the debugger state: Canceled future",)
# What tests have refused: signing in, ending a session without force, a service there is no memory for, and
# ending a kernel that has just died.
REFUSALS = (
    ("/sign-in?", " 401 "),
    ("/jupyter-sessions/sessions/choosy/", " 403 "),
    ("/services/", " 409 "),
    ("/api/sessions/", " 404 "),
)
# What it says of requests to a server that is away, or was when they were made.
IN_VAIN = ("net::ERR_", "WebSocket connection to", "NetworkError", "Connection lost")
SETTINGS = {
    "@jupyterlab/apputils-extension/notification": '{"fetchNews": "false", "checkForUpdates": false}',
    "@jupyterlab/docmanager-extension/plugin": '{"renameUntitledFileOnSave": false}',
    "@jupyterlab/completer-extension/manager": '{"providerTimeout": 30000}',  # ms; the first one imports much
}


class Lab:
    """A JupyterLab server, and Notebook 7 with it, on one port for all its life.

    A test sets `is_to_fail` before it takes the server away: the browser then tells of requests in vain.
    """

    def __init__(self, folder: Path, *options: str, python: str = sys.executable) -> None:
        self.folder, self.log = folder / "notebooks", folder / "lab.log"
        self.is_to_fail = False
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}/"
        self._command = [
            *(python, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *(f"--port={self._port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={self.folder}"),
            *(f"--IdentityProvider.token={TOKEN}", f"--LabApp.user_settings_dir={folder / 'settings'}"),
            f"--LabApp.workspaces_dir={folder / 'workspaces'}",
            f"--JupyterNotebookApp.user_settings_dir={folder / 'settings'}",
            *options,
        ]

    def start(self) -> None:
        """Start it, anew if it was stopped."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(self._command, stdout=output, stderr=output, env=dict(os.environ))
        wait_for_port(self._port, self.process)

    def restart(self) -> None:
        """End it and start it again."""
        self.stop()
        self.start()

    def stop(self, signum: int = signal.SIGTERM) -> None:
        """End it, as a person does or worse.

        jupyter_server 2.21 may be done and yet wait for ever for AnyIO's idle threads, if a request for
        a file was cut off: what is left of it then is killed.
        """
        self.process.send_signal(signum)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def lab(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """JupyterLab with a data folder of its own, ended afterwards."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    with running_lab(tmp_path) as made:
        yield made


@contextmanager
def running_lab(folder: Path, *options: str, python: str = sys.executable) -> Iterator[Lab]:
    """Start JupyterLab of a Python with these command-line options; end it afterwards."""
    for name, text in SETTINGS.items():
        file = folder / "settings" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    made = Lab(folder, *options, python=python)
    made.folder.mkdir()
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def chromium() -> Iterator[BrowserType]:
    """Chromium, by Playwright."""
    with sync_playwright() as playwright:
        yield playwright.chromium


@pytest.fixture
def tab(lab: Lab, chromium: BrowserType, tmp_path: Path) -> Iterator[Page]:
    """An empty page of a fresh profile beside JupyterLab; errors on its console, and on those it opens, fail the test."""
    with open_browser(chromium, lab, tmp_path) as made:
        yield made


@contextmanager
def open_browser(chromium: BrowserType, lab: Lab, folder: Path, **options: Any) -> Iterator[Page]:
    """Open an empty page of a fresh profile beside JupyterLab; fail on errors on its console, and on those of pages it opens.

    `options` are playwright's for the browser's context.
    """
    program = need("chromium", "the panel is tested in a real browser")
    errors: list[str] = []

    def note(message: ConsoleMessage) -> None:
        where = str(message.location.get("url"))
        # The browser tells of each refusal.
        refused = any(path in where and status in message.text for path, status in REFUSALS)
        refused |= lab.is_to_fail and any(words in message.text for words in IN_VAIN)
        if message.type == "error" and not message.text.startswith(ITS_OWN) and not refused:
            errors.append(f"{message.text} ({where})")

    context = chromium.launch_persistent_context(
        str(folder / "profile"),
        executable_path=program,
        args=FLAGS,
        **({"viewport": {"width": 1280, "height": 800}} | options),
    )
    context.set_default_timeout(TIMEOUT_MS)
    context.on("console", note)
    yield context.pages[0]
    context.pages[0].screenshot(path=folder / "last.png")  # For who looks into a failure.
    context.close()
    assert errors == []


@pytest.fixture
def page(lab: Lab, tab: Page) -> Page:
    """A page at JupyterLab's launcher."""
    tab.goto(f"{lab.url}lab?token={TOKEN}")
    tab.get_by_role("tab", name="Launcher").wait_for()
    return tab


@pytest.fixture
def stage(
    state: Path, chromium: BrowserType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """JupyterLab with nothing but rows, as a test wants them."""
    monkeypatch.setenv("PYTHONPATH", str(RESOURCES))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    configure(tmp_path, local={"title": "This machine"})
    tell(tmp_path / "local.json", machine())
    with (
        running_lab(tmp_path, "--LabApp.expose_app_in_browser=True") as lab,
        open_browser(chromium, lab, tmp_path, **CONTEXT) as page,
    ):
        made = Stage(page, tmp_path, f"{lab.url}lab?reset&token={TOKEN}", lab.restart)
        made.open()
        yield made
