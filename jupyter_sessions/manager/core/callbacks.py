"""Callback URLs: post a session's changes of status to the URL it was created with.

Each session has its own queue, so a slow receiver delays no other session. What has not been delivered when the
manager ends is lost; the next manager continues with the next change.
Source of the body: managers 22.03 to 26.8; `status` is an addition.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

import aiohttp

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.tasks import Tasks
from jupyter_sessions.wire.message_targets import http_host

log = logging.getLogger("jupyter_sessions")

TRY_SECONDS = 10.0
PAUSES = (1.0, 3.0)
"""Seconds to wait after the first and after the second try."""
_EVENTS = {
    "PENDING": "enqueued",
    "PREPARING": "scheduled",
    "RUNNING": "started",
    "RESTARTING": "restarting",
    "TERMINATING": "terminating",
    "TERMINATED": "terminated",
    "CANCELLED": "cancelled",
    "ERROR": "failure",
}
CallbackBody = dict[str, Any]


def check_url(url: str) -> str:
    """Return a valid callback URL. Errors: InvalidRequest for anything but http and https."""
    if not http_host(url):
        hint = "Use a URL that begins with http:// or https://."
        raise InvalidRequest("The callback URL is not valid.", hint=hint, field="callback_url")
    return url


class Callbacks:
    """Posts changes of status in the order in which they happen."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._queues: dict[str, deque[CallbackBody]] = {}
        self._tasks = Tasks()
        self._client: aiohttp.ClientSession | None = None

    def skip_current(self, record: Record) -> None:
        """Skip the current status of a session, which an earlier manager has posted."""
        if record.callback_url:
            self._last[record.id] = record.status

    def post(self, record: Record) -> None:
        """Post a session's status if it has changed and the session has a callback URL."""
        if not record.callback_url or self._last.get(record.id) == record.status:
            return
        self._last[record.id] = record.status
        if not record.live:
            del self._last[record.id]
        body = {
            "type": "session_lifecycle",
            "event": _EVENTS.get(record.status, record.status.lower()),
            "session_id": record.id,
            "when": record.changed.isoformat(),
            "status": record.status,
        }
        waiting = record.id in self._queues
        self._queues.setdefault(record.id, deque()).append(body)
        if not waiting:
            self._tasks.start(self._deliver(record.id, record.callback_url))

    async def _deliver(self, id: str, url: str) -> None:
        """Post the queued bodies of a session one after the other, until the queue is empty."""
        queue = self._queues[id]
        try:
            while queue:
                await self._post_with_retries(url, queue[0])
                queue.popleft()
        finally:
            del self._queues[id]

    async def _post_with_retries(self, url: str, body: CallbackBody) -> None:
        why = ""
        for pause in (*PAUSES, None):
            try:
                if self._client is None:
                    self._client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
                timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)
                async with self._client.post(
                    url, json=body, timeout=timeout, allow_redirects=False
                ) as answer:
                    if answer.status < 300:
                        return
                    why = f"the server answered {answer.status}"
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                why = type(error).__name__
            if pause is not None:
                await asyncio.sleep(pause)
        # The rest of the URL may hold a secret.
        log.warning(
            "the callback to %s that session %s is %s failed: %s",
            http_host(url),
            body["session_id"],
            body["status"],
            why,
        )

    async def close(self) -> None:
        """Stop at once; queued bodies are lost."""
        await self._tasks.close()
        if self._client is not None:
            await self._client.close()
