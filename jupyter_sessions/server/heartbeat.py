"""A heartbeat for pages: whether the server is alive, and the latest revision of the sessions.

Heartbeats go out over Jupyter's event stream, and only while somebody subscribes, so that they do not fill an event
log that an administrator may have configured.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from jupyter_events import EventLogger

from jupyter_sessions.service import SessionService

SECONDS = 2.0
SCHEMA_ID = "https://schema.jupyter.org/jupyter_sessions/heartbeat/v1"
SCHEMA_FILE = Path(__file__).parent / "events" / "heartbeat" / "v1.yaml"


async def beat(events: EventLogger, service: SessionService | None) -> None:
    """Send heartbeats until cancelled; `service` is None while the configuration cannot be used."""
    while True:
        await asyncio.sleep(SECONDS)
        if has_listeners(events):
            feed = service.feed if service else None
            data = {"epoch": feed.epoch if feed else "", "rev": feed.rev if feed else 0}
            events.emit(schema_id=SCHEMA_ID, data=data)


def has_listeners(events: EventLogger) -> bool:
    """Return whether a page is subscribed; true for versions of jupyter_events without the table that 0.12 has."""
    tables = (getattr(events, name, None) for name in ("_modified_listeners", "_unmodified_listeners"))
    return any(table is None or table.get(SCHEMA_ID) for table in tables)
