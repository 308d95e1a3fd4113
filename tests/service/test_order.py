"""The order of lists where a backend does not tell all times."""

from __future__ import annotations

from typing import Any

from jupyter_sessions.backends.skaha.convert import session_of
from jupyter_sessions.service.order import NEWEST, ordering


def of_skaha(uid: str, status: str, started: str | None) -> dict[str, Any]:
    return {"id": uid, "name": uid, "image": "i", "type": "headless", "status": status, "startTime": started}


def test_sessions_on_skaha_are_in_the_order_of_their_times() -> None:
    """Those that wait have no time yet: they are the newest."""
    items = [
        of_skaha("a1", "Running", "2026-01-01T10:00:00Z"),
        of_skaha("b2", "Completed", "2026-01-03T10:00:00Z"),
        of_skaha("c3", "Pending", None),
        of_skaha("d4", "Running", "2026-01-02T10:00:00Z"),
        of_skaha("e5", "Terminating", "2026-01-04T10:00:00Z"),
    ]
    rows = [session_of(item, "sky") for item in items]
    assert [row.id for row in ordering(NEWEST)(rows)] == ["c3", "e5", "b2", "d4", "a1"]
    assert [row.id for row in ordering("status_changed")(rows)] == ["a1", "d4", "b2", "e5", "c3"]
    running = rows[0]
    assert running.status_changed == running.created_at
