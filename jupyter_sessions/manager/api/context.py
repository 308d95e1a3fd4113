"""The context of a GraphQL request, which all resolvers get."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.keys import Key
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.sessions import SessionManager

PAGE = 1000
_MOST = 5 * PAGE


class QueryContext(msgspec.Struct):
    """The sessions and the key of a request. With `seed`, answers are spelled as in seed 002."""

    sessions: SessionManager
    who: Key
    seed: bool = False
    spent: int = 0

    def spend(self, rows: int) -> None:
        """Count the sessions that a query reads. Errors: InvalidRequest for too many."""
        self.spent += rows
        if self.spent > _MOST:
            raise InvalidRequest(f"The query asks for more than {_MOST} sessions.", field="query")

    def queue_position(self, record: Record) -> int | None:
        """Return the place of a pending session in the queue, from 0, or None."""
        pending = [other.id for other in self.sessions.live if other.status == "PENDING"]
        return pending.index(record.id) if record.id in pending else None


GraphQLItem = dict[str, Any]
"""An object whose fields GraphQL reads, other than a record."""


def in_pages(query: Callable[..., list[GraphQLItem]]) -> Callable[..., GraphQLItem]:
    """Return a query for a page of another query's results, in their order."""

    def page(
        sessions: SessionManager,
        who: Key,
        *,
        limit: int,
        offset: int,
        filter: str | None = None,
        order: str | None = None,
        **args: Any,
    ) -> GraphQLItem:
        """Return a page. Errors: InvalidRequest for a filter, which only sessions have, or an impossible page."""
        found = query(sessions, who, **args)
        if filter:
            raise InvalidRequest("Only sessions can be filtered here.", hint="Leave it out.", field="filter")
        if limit < 0 or offset < 0:
            raise InvalidRequest("limit and offset must not be negative.")
        return {"items": found[offset : offset + limit], "total_count": len(found)}

    return page
