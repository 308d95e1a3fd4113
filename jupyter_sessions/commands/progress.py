"""How far a session is that starts, told in lines of text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from jupyter_sessions.model import SessionInfo


class Progress:
    """Prints a line about a session whenever the line has changed, while its context is open."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.told = ""

    def tell(self, row: SessionInfo, line: str) -> None:
        """Tell the state of a session that starts."""
        if row.status_info and line != self.told and not row.settled:
            self._say(line)
            self.told = line

    def settle(self, row: SessionInfo, line: str, base_url: str) -> None:
        """Tell the state of a session that nobody waits for any longer; `base_url` is where its services are."""
        self._say(line)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass
