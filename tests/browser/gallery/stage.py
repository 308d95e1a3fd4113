"""A JupyterLab whose backends say what a test wants, and what one does there to see something."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from jupyter_sessions.model import is_live
from tests.browser.gallery.scenes import CAPACITY, tell

RESOURCES = Path(__file__).parents[2] / "resources" / "scripted"
PANEL = "#jupyter-sessions"
DIALOG = ".jp-Dialog-content"
THEMES = {
    "light": "JupyterLab Light",
    "dark": "JupyterLab Dark",
    "contrast": "JupyterLab Dark High Contrast",
}
WIDTH = 300
CONTEXT = {"timezone_id": "UTC", "locale": "en-GB", "reduced_motion": "reduce"}


class Stage:
    """The page, and the files that its backends follow."""

    def __init__(self, page: Page, folder: Path, address: str, restart: Callable[[], None]) -> None:
        """`address` is JupyterLab's, `restart` starts its server again."""
        self.page, self._folder, self._address, self._restart = page, folder, address, restart

    def open(self) -> None:
        """Load JupyterLab anew, with its panel open."""
        self.page.goto(self._address)
        self.page.get_by_role("tab", name="Launcher").wait_for()
        self.page.get_by_role("tab", name="Compute sessions").click()
        self.page.get_by_role("button", name="New session").first.wait_for()
        self._uncovered()
        self.widen(WIDTH)

    def add(self, name: str, title: str, said: dict[str, Any], *, signs_in: bool = False) -> None:
        """Have one more backend, from the next start on."""
        tell(self._folder / f"{name}.json", said)
        configure(self._folder, **{name: {"title": title, "signs_in": signs_in}})

    def restart(self) -> None:
        """Start the server again, which nobody looks at meanwhile."""
        self.page.goto("about:blank")
        self._restart()
        self.open()

    def show(self, said: dict[str, Any], name: str = "local") -> None:
        """Let a backend say this, and wait until what is live is seen."""
        tell(self._folder / f"{name}.json", said)
        live = [row for row in said.get("rows", []) if is_live(row["status"])]
        for row in live:
            here = f"[data-backend={name}][data-session-name='{row['name']}'][data-status={row['status']}]"
            expect(self.page.locator(here)).to_have_count(1)
        if not live and "error" not in said:
            expect(self.page.locator(f"[data-group={name}]")).to_contain_text("No sessions")
        if said.get("capacity") == CAPACITY:
            expect(self.page.locator(f"[data-group={name}]")).to_contain_text("7 of 16 CPU")

    def unfold(self, title: str) -> None:
        """Open a section of the panel."""
        self.page.get_by_role("button", name=title).click()
        self.page.mouse.move(900, 600)

    def row(self, name: str) -> Locator:
        """A session's row."""
        return self.page.locator(f"[data-session-name='{name}']")

    def form(self) -> Locator:
        """Open the form; its dialog."""
        self.page.get_by_role("button", name="New session").first.click()
        return self.page.get_by_role("dialog")

    def dismiss(self) -> None:
        """Close what is open above the panel, and point at nothing."""
        self.page.keyboard.press("Escape")
        expect(self.page.locator(f"{DIALOG}, .lm-Menu-content:visible")).to_have_count(0)
        self.page.mouse.move(900, 600)

    def widen(self, width: int) -> None:
        """Drag the panel's edge."""
        panel = self.page.locator(PANEL).bounding_box()
        assert panel
        edge = panel["x"] + panel["width"] + 1
        self.page.mouse.move(edge, 500)
        self.page.mouse.down()
        self.page.mouse.move(edge + width - panel["width"], 500, steps=2)
        self.page.mouse.up()
        self.page.mouse.move(900, 600)
        self.page.wait_for_function(
            "([panel, width]) => Math.abs(document.querySelector(panel).offsetWidth - width) < 3",
            arg=[PANEL, width],
        )

    def theme(self, name: str) -> None:
        """Change the theme."""
        self.page.evaluate(
            "theme => jupyterapp.commands.execute('apputils:change-theme', {theme})", THEMES[name]
        )
        self.page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=THEMES[name])
        self._uncovered()

    def _uncovered(self) -> None:
        """Wait until the splash, which loading and themes draw over everything, has faded."""
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)


def configure(folder: Path, **backends: dict[str, Any]) -> None:
    """Offer backends that follow a file each; this machine's place is taken by one."""
    file = folder / "config" / "jupyter_sessions_config.json"
    settings = json.loads(file.read_text()) if file.exists() else {"JupyterSessions": {"backends": {}}}
    for name, options in backends.items():
        kind = "scripted-machine" if name == "local" else "scripted"
        where = {"type": kind, "file": str(folder / f"{name}.json")}
        settings["JupyterSessions"]["backends"][name] = where | options
    file.write_text(json.dumps(settings))
