"""Requests whose logs hold no secrets: httpx logs whole addresses, and Skaha takes all it is told in the query."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

import httpx

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


class QuietClient(httpx.AsyncClient):
    """A client of httpx that leaves the query out of what is logged of its requests; those of others are logged as ever."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As `httpx.AsyncClient.send`."""
        before = _quiet.set(True)
        try:
            return await super().send(request, **options)
        finally:
            _quiet.reset(before)


def _without_queries(record: logging.LogRecord) -> bool:
    if _quiet.get() and isinstance(record.args, tuple):
        record.args = tuple(_bare(part) for part in record.args)
    return True


def _bare(part: object) -> object:
    return part.copy_with(query=None) if isinstance(part, httpx.URL) else part


logging.getLogger("httpx").addFilter(_without_queries)
