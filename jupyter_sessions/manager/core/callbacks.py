"""Callback URLs: a session's changes of status, posted to whoever asked for it.

Each session has a line of its own: what is slow there delays no other, and never the session. What
has not been delivered when this manager ends is lost; the next one goes on with the next change.
Source of the body: managers 22.03 to 26.8; `status` is ours.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.tasks import Tasks

log = logging.getLogger("jupyter_sessions")

TRY_SECONDS = 10.0
PAUSES = (1.0, 3.0)
"""Seconds after the first and after the second try."""
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
    """A URL to post to. Errors: InvalidRequest for anything but http and https."""
    hint = "Give a URL that begins with http:// or https://."
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or any(character.isspace() or not character.isprintable() for character in url):
        raise InvalidRequest("The callback URL is no address to post to.", hint=hint, field="callback_url")
    return url


class Callbacks:
    """Posts changes of status in the order in which they happen."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}
        self._queues: dict[str, deque[CallbackBody]] = {}
        self._tasks = Tasks()
        self._client: aiohttp.ClientSession | None = None

    def known(self, record: Record) -> None:
        """Take a status for told: an earlier manager did."""
        if record.callback_url:
            self._last[record.id] = record.status

    def take(self, record: Record) -> None:
        """Post the session's status, if it has changed and is asked for."""
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
        """Post what is in a session's line, one after the other, until it is empty."""
        queue = self._queues[id]
        try:
            while queue:
                await self._try(url, queue[0])
                queue.popleft()
        finally:
            del self._queues[id]

    async def _try(self, url: str, body: CallbackBody) -> None:
        why = ""
        for pause in (*PAUSES, None):
            try:
                return await self._post(url, body)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                why = str(error) if isinstance(error, _Refused) else type(error).__name__
            if pause is not None:
                await asyncio.sleep(pause)
        # The rest of the URL may hold a secret.
        log.warning(
            "%s was not told that session %s is %s: %s",
            urlsplit(url).hostname,
            body["session_id"],
            body["status"],
            why,
        )

    async def _post(self, url: str, body: CallbackBody) -> None:
        if self._client is None:
            self._client = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS)
        async with self._client.post(url, json=body, timeout=timeout, allow_redirects=False) as answer:
            if answer.status >= 300:
                raise _Refused(f"it answered {answer.status}")

    async def close(self) -> None:
        """Stop at once; what is in the lines is lost."""
        await self._tasks.close()
        if self._client is not None:
            await self._client.close()


class _Refused(aiohttp.ClientError):
    """The address answered with something else than success."""
