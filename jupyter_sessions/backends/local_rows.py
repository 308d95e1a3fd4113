"""RowsClient of this machine's sessions by the manager's own route, which tells thousands in one answer.

Remote managers have no such route and are not asked for it; managers of earlier versions of this package do not
have it either.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import msgspec

from jupyter_sessions.backends.backendai import convert
from jupyter_sessions.backends.backendai.connection import is_uuid
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.backendai.versions import statuses_of
from jupyter_sessions.backends.base import Query
from jupyter_sessions.backends.local_versions import AnyVersion
from jupyter_sessions.backends.parsing import MOST_BYTES, MOST_ROWS, too_much, understood
from jupyter_sessions.backends.session_request import SessionRequest
from jupyter_sessions.errors import NotFound, NotSupported
from jupyter_sessions.model import STATUSES, SessionInfo
from jupyter_sessions.wire import untrusted

PATH = "/jupyter-sessions/sessions"
_IDS_AT_ONCE = 200
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_LISTS = ("services", "containers", "dependencies", "mounts", "agents")
_EMPTY: list[Any] = []


class RowsClient:
    """Asks managers for rows; those of `backend`. Every answer is None if the manager has no such route."""

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._without: ManagerClient | None = None

    async def listed(self, client: ManagerClient, **params: str) -> list[SessionInfo] | None:
        """Return the sessions that parameters choose, those that changed last first."""
        rows = await self._read(client, params)
        if rows is not None:
            rows.sort(key=lambda row: (row.status_changed or _LONG_AGO, row.id), reverse=True)
        return rows

    async def of_ids(self, client: ManagerClient, ids: Sequence[str]) -> dict[str, SessionInfo] | None:
        """Return sessions by id with all that is known of them, without those that are not there."""
        found: dict[str, SessionInfo] = {}
        for start in range(0, len(ids), _IDS_AT_ONCE):
            rows = await self._read(client, {"ids": ",".join(ids[start : start + _IDS_AT_ONCE])})
            if rows is None:
                return None
            found |= {row.id: row for row in rows}
        return found

    async def create(self, client: ManagerClient, body: dict[str, Any]) -> SessionInfo | None:
        """Ask for a session, once. Errors: what the manager says."""
        if client is self._without:
            return None
        try:
            answer = await client.request("POST", PATH, json=body, params={"backend": self._backend})
        except (NotFound, NotSupported):  # Nothing was made; an older manager is asked as remote ones are.
            return None
        with understood(client.who):
            row = msgspec.convert(answer["session"], SessionInfo)
            row.reused = not answer["created"]
            return row

    async def _read(self, client: ManagerClient, params: dict[str, str]) -> list[SessionInfo] | None:
        if client is self._without:
            return None
        rows: list[SessionInfo] = []
        try:
            answer = client.lines(PATH, {"backend": self._backend} | params, MOST_BYTES)
            async with aclosing(answer):
                async for lines in answer:
                    with understood(client.who):
                        rows += [_slim(untrusted.decode(line, type=SessionInfo)) for line in lines]
                    if len(rows) > MOST_ROWS:
                        raise too_much(client.who, f"more than {MOST_ROWS:,} sessions")
                    await asyncio.sleep(0)
        except (NotFound, NotSupported):
            self._without = client
            return None
        return rows


def _slim(row: SessionInfo) -> SessionInfo:
    """Let what is empty be one list for all rows, which nobody changes.

    With lists of their own for each, thousands of rows make the garbage collector look through the whole process,
    which stops a Jupyter server for more than 100 ms.
    """
    for one, names in ((row, _LISTS), *((service, ("ports",)) for service in row.services)):
        for name in names:
            if not getattr(one, name):
                setattr(one, name, _EMPTY)
    return row


class LocalRows(AnyVersion):
    """The sessions of this machine by the manager's own route, or by GraphQL if an older manager has no such route."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._rows = RowsClient(name)

    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Return sessions; with further fields, or of another key, by GraphQL."""
        status = statuses_of(query.status, STATUSES)
        client = await self._rows_client()
        others = query.access_key is not None or not all(map(self.lists_field, query.fields))
        if client is None or status == "" or others:
            return await super().list(query)
        chosen = {"status": status, "limit": query.limit, "offset": query.offset or None}
        params = {name: str(value) for name, value in chosen.items() if value is not None}
        rows = await self._rows.listed(client, **params)
        return await super().list(query) if rows is None else rows

    async def get(self, id: str) -> SessionInfo:
        """Return a session. Errors: SessionNotFound."""
        found = await self.rows_of([id.lower()]) if is_uuid(id) else None
        return next(iter(found.values())) if found else await super().get(id)

    async def rows_of(self, ids: Sequence[str]) -> dict[str, SessionInfo] | None:
        """Return sessions by id with all that is known of them; None if the manager has no route for that."""
        client = await self._rows_client()
        return await self._rows.of_ids(client, ids) if client else None

    async def send_create(self, request: SessionRequest) -> SessionInfo:
        """Ask for a session, once; the answer is its row."""
        client = await self.client()
        body = convert.create_body(request, await client.dialect())
        body["config"] |= self.of_asker()
        return await self._rows.create(client, body) or await super().send_create(request)

    async def _rows_client(self) -> ManagerClient | None:
        """Return the connection to the manager; None to one that speaks another protocol."""
        return None if await self._other_manager() else await self.client()
