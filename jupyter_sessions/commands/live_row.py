"""A session that starts, as one output of a notebook, which changes in place and becomes the session's card."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Self
from uuid import uuid4

from jupyter_sessions.backends.base import Output
from jupyter_sessions.client import card
from jupyter_sessions.commands.html import note
from jupyter_sessions.commands.links import address_of
from jupyter_sessions.commands.progress import Progress
from jupyter_sessions.durations import human_time
from jupyter_sessions.model import USABLE, SessionInfo

_TICK_SECONDS = 1.0


class LiveRow(Progress):
    """Shows the state of a session, why it waits, and for how long it has done so."""

    def __init__(self, show: Callable[[Output], None]) -> None:
        super().__init__(lambda text: None)
        self._show = show
        self._display = {"display_id": uuid4().hex}
        self._begun = time.monotonic()
        self._row: SessionInfo | None = None
        self._ticker: asyncio.Task[None] | None = None

    def tell(self, row: SessionInfo, line: str) -> None:
        """Show the state of a session that starts."""
        elapsed = human_time(round(time.monotonic() - self._begun))
        self._row = row
        self._update(line, card.starting(row, elapsed))

    def settle(self, row: SessionInfo, line: str, base_url: str) -> None:
        """Show the card of a session, with links to its services."""
        services = row.services if row.status in USABLE else []
        links = [(one.name, address_of(one, base_url)) for one in services]
        shown = card.html(row, [(name, address) for name, address in links if address])
        self._update(line, shown + (note("It was there before.") if row.reused else ""))

    def _update(self, line: str, html: str) -> None:
        kind = "update_display_data" if self.told else "display_data"
        data = {"text/plain": line, "text/html": html}
        self._show(Output(kind=kind, content={"data": data, "metadata": {}, "transient": self._display}))
        self.told = line

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            if self._row is not None and not self._row.settled:
                self.tell(self._row, self.told)

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
