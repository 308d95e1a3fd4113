"""Find the session that a person's reference means, by the same rules everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.notices import Notice
from jupyter_sessions.backends.signin import SignIn
from jupyter_sessions.errors import Ambiguous, SessionNotFound
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service.deadlines import state_of


class Expiry(msgspec.Struct, frozen=True):
    """When the credentials of a backend expire, the command that renews them, and the backend's title."""

    at: datetime
    renew: str
    title: str

    def warning(self, now: datetime) -> str:
        """Return a warning while the expiry is near, otherwise ""; afterwards, errors say it."""
        return SignIn(expires=self.at, renew=self.renew).warning(self.title, now)


class Listing(msgspec.Struct, frozen=True):
    """Rows of all backends that answered, and what the others say.

    Those of one that only wants other credentials are as they were last seen. `notices` say what else people should
    know of a backend.
    """

    sessions: list[SessionInfo]
    errors: dict[str, str] = {}
    expiries: dict[str, Expiry] = {}
    notices: dict[str, Notice] = {}


async def expiries(backends: Sequence[Backend]) -> dict[str, Expiry]:
    """Return when the credentials of backends expire, by name; backends may read files for it."""
    states = await asyncio.to_thread(lambda: [state_of(backend) for backend in backends])
    return {
        backend.name: Expiry(state.expires, state.renew, backend.title)
        for backend, state in zip(backends, states, strict=True)
        if state.expires is not None
    }


async def notices(backends: Sequence[Backend]) -> dict[str, Notice]:
    """Return the notices about backends, by name; backends may read files for it."""
    found = await asyncio.to_thread(lambda: {backend.name: backend.notice() for backend in backends})
    return {name: notice for name, notice in found.items() if notice is not None}


async def find(listed: Callable[[str], Awaitable[Listing]], ref: str) -> SessionInfo:
    """Return the session with a "backend/NAME", id or name: the live one, otherwise the one that ended last.

    Of two live ones, the one that is not terminating is meant. `listed` returns the sessions of a status, the most
    recently changed first.
    Errors: SessionNotFound; Ambiguous, listing the matches.
    """
    failures: dict[str, str] = {}
    for status in ("live", "all"):  # The first is quick, for a server knows it; the second is asked for anew.
        listing = await listed(status)
        failures |= listing.errors
        matches = [
            row for row in listing.sessions if ref in (row.ref, row.name, row.id, f"{row.backend}/{row.id}")
        ]
        live = [row for row in matches if row.live]
        live = [row for row in live if row.status != "TERMINATING"] or live
        if len(live) > 1:
            hint = "Say which: " + ", ".join(f"{row.ref} ({row.id})" for row in live) + "."
            raise Ambiguous(f"Several sessions are called '{ref}'.", hint=hint, field="session")
        if matches:
            return (live or matches)[0]
    unheard = " ".join(f"{backend}: {why}" for backend, why in failures.items())
    hint = unheard or "`%session ps` lists those that live, `%session ps --all` the ended ones, too."
    raise SessionNotFound(f"There is no session '{ref}'.", hint=hint, field="session")
