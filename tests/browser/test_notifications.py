"""Notifications: at most one of a kind, however much happens."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from playwright.sync_api import Page, expect

from jupyter_sessions.server.app import SCHEMA_ID
from tests.browser.conftest import TOKEN, Lab
from tests.browser.steps import ask_for, card, open_panel, row

ENDED = {"status": "TERMINATED", "status_info": "its machine is gone"}


class Pushes:
    """Sends pages changes of sessions, as the server does, by Jupyter's own route for events."""

    def __init__(self, lab: Lab) -> None:
        self._url, self._headers = lab.url, {"Authorization": f"token {TOKEN}"}

    def rows(self) -> dict[str, Any]:
        """The list as the server has it."""
        return dict(httpx.get(f"{self._url}jupyter-sessions/sessions", headers=self._headers).json())

    def begin(self) -> None:
        """Number what is pushed from now on after what the server has pushed."""
        listed = self.rows()
        self._epoch, self._rev = listed["epoch"], listed["rev"]

    def put(self, *sessions: dict[str, Any]) -> None:
        """Push the next batch."""
        self._rev += 1
        changes = [{"op": "put", "session": session} for session in sessions]
        data = {"epoch": self._epoch, "rev": self._rev, "changes": changes}
        body = {"schema_id": SCHEMA_ID, "version": "1", "data": data}
        answer = httpx.post(f"{self._url}api/events", headers=self._headers, json=body)
        assert answer.status_code == 204, answer.text


def test_many_ends_are_one_notification_that_shows_them(page: Page, lab: Lab) -> None:
    open_panel(page)
    pushes = Pushes(lab)
    pushes.begin()
    rows = [
        {"backend": "local", "id": str(number), "name": f"demo-{number}", "status": "RUNNING"}
        for number in range(251)
    ]
    pushes.put(*rows)
    expect(page.locator("[data-group=local] h3")).to_contain_text("251")
    first, *others = [one | ENDED for one in rows]
    pushes.put(first)
    toast = page.locator(".Toastify__toast")
    expect(toast).to_contain_text("Session 'demo-0' ended: its machine is gone")
    for number in range(0, 250, 10):
        pushes.put(*others[number : number + 10])
    expect(toast).to_contain_text("251 sessions ended unexpectedly")
    expect(toast).to_have_count(1)
    toast.get_by_role("button", name="Show").click()
    ended = page.locator("[data-group=ended]")
    expect(ended.locator("[data-session-name='demo-250']")).to_be_in_viewport()
    expect(toast).to_have_count(0)


def test_warnings_replace_one_another_and_go_when_the_session_is_renewed(page: Page, lab: Lab) -> None:
    open_panel(page)
    ask_for(page, "0.5", name="unused").get_by_role("button", name="Create").click()
    expect(row(page, "unused")).to_have_attribute("data-status", "RUNNING")
    expect(page.locator("[data-group=local]")).to_contain_text(re.compile(r"of \d+ CPU"))
    pushes = Pushes(lab)
    (session,) = pushes.rows()["sessions"]
    expect(card(page, "Session unused")).to_be_visible()  # The last that the server tells of a new session.
    pushes.begin()
    toast = page.locator(".Toastify__toast")
    texts = []
    for seconds in (540, 100):
        end = datetime.now(UTC) + timedelta(seconds=seconds)
        pushes.put(session | {"ends_at": end.isoformat(), "ends_why": "idle"})
        local = page.evaluate(
            "at => new Date(at).toLocaleTimeString([], {timeStyle: 'short'})", end.isoformat()
        )
        expect(toast).to_contain_text(f"Session 'unused' is not used and ends at {local}")
        texts.append(local)
        expect(toast).to_have_count(1)
    assert texts[0] != texts[1]
    toast.get_by_role("button", name="Renew").click()
    expect(toast).to_have_count(0)
