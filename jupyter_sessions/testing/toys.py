"""Small complete backends, to test faces with and to start from."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from msgspec import structs

from jupyter_sessions.amounts import format_slots
from jupyter_sessions.backends.base import Backend, Query, SessionRequest
from jupyter_sessions.backends.takes import EVERY
from jupyter_sessions.errors import SessionNotFound
from jupyter_sessions.model import NameRule, SessionInfo, in_group


class Toy(Backend):
    """Sessions that are rows in memory and run nothing, in the four methods."""

    type = "toy"
    takes = EVERY
    name_rule = NameRule(r"[a-z0-9-]{1,20}", "Use 1 to 20 lower-case letters, digits or '-'.")
    poll_seconds = 0.05

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self.rows: dict[str, SessionInfo] = {}

    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Return the sessions that match, the latest first."""
        rows = [row for row in reversed(self.rows.values()) if in_group(row.status, query.status)]
        return [structs.replace(row) for row in rows[query.offset :][: query.limit]]

    async def get(self, id: str) -> SessionInfo:
        """Return a session. Errors: SessionNotFound."""
        if id not in self.rows:
            raise SessionNotFound(f"There is no session '{id}' on {self.title}.", field="session")
        return structs.replace(self.rows[id])

    async def create(self, request: SessionRequest) -> SessionInfo:
        """Create a session, which is running at once."""
        now = datetime.now(UTC)
        row = SessionInfo(
            backend=self.name,
            id=f"{self.name}.{uuid4()}",
            name=request.name,
            image=request.image or "toy",
            type=request.type,
            status="RUNNING",
            status_info="",
            resources=format_slots(request.resources),
            services=[],
            created_at=now,
            status_changed=now,
            tag=request.tag,
            dependencies=request.dependencies,
            notebook_path=request.notebook_path,
            owner=request.owner,
        )
        self.rows[row.id] = row
        return structs.replace(row)

    async def destroy(self, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """End a session."""
        row = await self.get(id)
        if row.live:
            self.rows[id] = structs.replace(row, status="TERMINATED", status_changed=datetime.now(UTC))
        return await self.get(id)


class Forgetful(Toy):
    """A toy that forgets sessions when they end."""

    async def destroy(self, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """End a session, and forget it."""
        row = await super().destroy(id)
        del self.rows[id]
        return row


class Arrays(Toy):
    """A toy that creates many sessions in one request."""

    async def create_many(self, request: SessionRequest, count: int) -> builtins.list[SessionInfo]:
        """Create the sessions NAME-1 to NAME-COUNT."""
        return [
            await self.create(
                structs.replace(request, name=f"{request.name}-{number}", tag=f"{number} of {count}")
            )
            for number in range(1, count + 1)
        ]
