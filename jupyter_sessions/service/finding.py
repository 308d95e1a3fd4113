"""From what a person calls a session to the session, by the same rules wherever it is looked up."""

from __future__ import annotations

from typing import Protocol

import msgspec

from jupyter_sessions.errors import Ambiguous, SessionNotFound
from jupyter_sessions.model import SessionInfo


class Listing(msgspec.Struct, frozen=True):
    """Rows of all backends that answered, and what the others say."""

    sessions: list[SessionInfo]
    errors: dict[str, str] = {}


class Lists(Protocol):
    """What can list sessions."""

    async def list(
        self, *, status: str = "live", backend: str | None = None, limit: int | None = None, offset: int = 0
    ) -> Listing:
        """Sessions, most recently changed first."""
        ...


async def find(where: Lists, ref: str) -> SessionInfo:
    """The listed row of a session by "backend/NAME", id or name: of a live one, else of the one that ended last.

    Errors: SessionNotFound; Ambiguous, listing the matches.
    """
    failures: dict[str, str] = {}
    for status in ("live", "all"):  # The first is quick, for a server knows it; the second is asked for anew.
        listing = await where.list(status=status)
        failures |= listing.errors
        matches = [
            row for row in listing.sessions if ref in (row.ref, row.name, row.id, f"{row.backend}/{row.id}")
        ]
        live = [row for row in matches if row.live]
        if len(live) > 1:
            hint = "Say which: " + ", ".join(f"{row.ref} ({row.id})" for row in live) + "."
            raise Ambiguous(f"Several sessions are called '{ref}'.", hint=hint, field="session")
        if matches:
            return (live or matches)[0]
    unheard = " ".join(f"{backend}: {why}" for backend, why in failures.items())
    hint = unheard or "`%session ps` lists those that live, `%session ps --all` the ended ones, too."
    raise SessionNotFound(f"There is no session '{ref}'.", hint=hint, field="session")
