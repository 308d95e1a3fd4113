"""A service that does not fit into its session's memory is not started, but a person may want it all the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from jupyter_sessions.errors import NoRoom

if TYPE_CHECKING:
    from conftest import Browser, FakeServices

SAID = "'tiny' needs about 110 MiB, and session '<b>' has 60 MiB left of its 128 MiB."
HINT = "Start it anyway, or create a session with 256 MiB."


@pytest.fixture(autouse=True)
def full(services: FakeServices) -> None:
    """The session has no room for the service."""
    services.endpoints["tiny"] = NoRoom(SAID, hint=HINT)


async def test_people_are_asked(browser: Browser) -> None:
    """By a form that a page of another site cannot send: it holds the XSRF token."""
    answer = await browser.fetch("", headers=browser.proxy.navigation)
    page = answer.body.decode()
    assert answer.status == 409
    assert "session &#x27;&lt;b&gt;&#x27; has 60 MiB left" in page
    assert HINT in page
    assert "<button>Start anyway</button>" in page
    place = "/a%40b/jupyter-sessions/sessions/local/0123-session/services/tiny?forced=true"
    assert f'<form method="post" action="{place}">' in page
    token = re.search(r'name="_xsrf" value="([^"]+)"', page)
    assert token
    assert len(token[1]) > 20
    (policy,) = answer.headers.getall("Content-Security-Policy")
    assert "form-action 'self'" in policy
    assert "script-src" not in policy


async def test_programs_are_told_why(browser: Browser) -> None:
    answer = await browser.proxy.fetch("api")
    assert answer.status == 409
    assert answer.json == {"message": SAID, "reason": "NoRoom", "hint": HINT}
