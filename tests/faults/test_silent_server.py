"""What the panel shows while its Jupyter server is dead, stopped, and back again."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time

from playwright.sync_api import Locator, Page, expect

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from tests.browser.conftest import Lab
from tests.browser.steps import ask_for, open_panel, row

SLACK = 2.0
"""Seconds that a loaded machine may take beyond what people are promised."""
STALE_SECONDS = 5 + SLACK
RIGHT_SECONDS = 2 + SLACK


def test_a_dead_server_is_shown_within_seconds_and_so_is_its_return(page: Page, lab: Lab) -> None:
    lab.is_to_fail = True
    kept, panel = with_session(page), page.get_by_role("region", name="Compute sessions")
    lab.process.kill()
    lab.process.wait()
    becomes_old(panel)
    end("kept")
    time.sleep(20)  # So long that Chromium would put off WebSockets that fail.
    lab.start()
    becomes_right(panel)
    expect(kept).to_have_count(0, timeout=1000 * SLACK)


def test_a_stopped_server_is_shown_within_seconds_and_so_is_its_return(page: Page, lab: Lab) -> None:
    kept, panel = with_session(page), page.get_by_role("region", name="Compute sessions")
    os.kill(lab.process.pid, signal.SIGSTOP)
    try:
        becomes_old(panel)
        end("kept")
    finally:
        os.kill(lab.process.pid, signal.SIGCONT)
    becomes_right(panel)
    expect(kept).to_have_count(0, timeout=1000 * SLACK)


def with_session(page: Page) -> Locator:
    """Start a session; answer its row among those that live, once it runs and heartbeats come."""
    with page.expect_websocket(lambda socket: "/api/events/subscribe" in socket.url) as made:
        page.reload()
    made.value.wait_for_event("framereceived", lambda frame: "/heartbeat/v1" in str(frame))
    open_panel(page)
    ask_for(page, "0.5", name="kept").get_by_role("button", name="Create").click()
    expect(row(page, "kept")).to_have_attribute("data-status", "RUNNING")
    return page.locator("[data-session-name=kept][data-live=true]")


def becomes_old(panel: Locator) -> None:
    """Wait until the list says that it is old, as soon as people are promised."""
    expect(panel.get_by_role("alert")).to_contain_text("does not answer", timeout=1000 * STALE_SECONDS)
    expect(panel.get_by_role("alert")).to_contain_text("The list is as it was at")
    expect(panel.locator("[data-group=local]")).to_have_attribute("data-stale", "true")


def becomes_right(panel: Locator) -> None:
    """Wait until the list says so no more, as soon as people are promised."""
    expect(panel.get_by_role("alert")).to_have_count(0, timeout=1000 * RIGHT_SECONDS)
    expect(panel.locator("[data-group=local]")).to_have_attribute("data-stale", "false")


def end(name: str) -> None:
    """End a session from elsewhere; in a thread, as Playwright's loop runs in this one."""
    thread = threading.Thread(target=lambda: asyncio.run(_end(name)))
    thread.start()
    thread.join()


async def _end(name: str) -> None:
    service = SessionService(JupyterSessions())
    found = await service.find(name)
    await service.destroy(found.backend, found.id)
    await service.close()
