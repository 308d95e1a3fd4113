"""A connection to the backends that opens on first use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from jupyter_sessions.client.api import Api
from jupyter_sessions.client.open_api import open_api
from jupyter_sessions.errors import SessionError

_TRUSTED_SECONDS = 5.0
"""How long a connection is used before it is asked again whether its server still runs."""


class Connection:
    """Opens the way to the backends on first use, and again in another event loop or once its server has gone."""

    def __init__(self, opening: Callable[[], Awaitable[Api]] = open_api) -> None:
        self._opening = opening
        self._api: Api | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = asyncio.Lock()
        self._used = 0.0

    async def api(self) -> Api:
        """Return the operations on sessions. Errors: InvalidRequest, BadAnswer; see `open_api`."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # What was opened in another loop cannot be used here.
            self._loop, self._lock, self._api = loop, asyncio.Lock(), None
        async with self._lock:
            if self._api is None or not await self._works(self._api):
                await self._let_go()
                self._api = await self._opening()
            self._used = time.monotonic()
            return self._api

    async def _works(self, api: Api) -> bool:
        return time.monotonic() - self._used < _TRUSTED_SECONDS or await api.alive()

    async def _let_go(self) -> None:
        api, self._api = self._api, None
        if api is not None:
            with suppress(SessionError):
                await api.close()

    async def close(self) -> None:
        """Disconnect; the next use connects again. Sessions run on."""
        if self._loop is asyncio.get_running_loop():
            await self._let_go()

    def __del__(self) -> None:
        if self._api is not None and self._loop is not None and self._loop.is_running():
            asyncio.run_coroutine_threadsafe(self._api.close(), self._loop)
