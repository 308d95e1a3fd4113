"""An httpx client with bounded answers and without secrets in its logs.

httpx logs whole addresses, and Skaha takes all its parameters in the query.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

import httpx

from jupyter_sessions.wire import bounded

_quiet: ContextVar[bool] = ContextVar("quiet", default=False)


class QuietClient(httpx.AsyncClient):
    """An httpx client that limits the size of answers and leaves the query out of its log messages.

    Log messages of other clients stay as they are.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.headers["Accept-Encoding"] = bounded.ENCODINGS

    async def send(self, request: httpx.Request, *, stream: bool = False, **options: Any) -> httpx.Response:
        """Send a request, as `httpx.AsyncClient.send` does.

        An answer that is not streamed has at most `bounded.ANSWER_BYTES`. Errors: bounded.AnswerRefused.
        """
        before = _quiet.set(True)
        try:
            response = await super().send(request, stream=True, **options)
        finally:
            _quiet.reset(before)
        if stream:
            return response
        try:
            return bounded.whole(response, await bounded.read(response))
        finally:
            await response.aclose()


def _without_queries(record: logging.LogRecord) -> bool:
    if _quiet.get() and isinstance(record.args, tuple):
        record.args = tuple(_bare(part) for part in record.args)
    return True


def _bare(part: object) -> object:
    return part.copy_with(query=None) if isinstance(part, httpx.URL) else part


logging.getLogger("httpx").addFilter(_without_queries)
