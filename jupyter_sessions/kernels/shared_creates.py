"""Share one session between repeated requests for a notebook's kernel while the session is being created.

A page that is reloaded before the server has listed its kernel requests the kernel again, and jupyter_server 2.21 then
starts a second one. Both get the same session, as they belong to one notebook. Later the server finds the kernel
itself, and another request means a new kernel, as for "Change kernel", which starts the new kernel before it shuts the
old one down.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from jupyter_sessions.client import Api
from jupyter_sessions.model import SessionInfo, SessionSpec

_JUST_NOW_SECONDS = 1.0
"""The time after a start until the server lists the kernel."""
_ENDING = ("TERMINATING", "ERROR")


class Making:
    """A session that is being created, as long as kernels are `starting` with it and a moment longer."""

    def __init__(self, work: asyncio.Task[SessionInfo]) -> None:
        self.work = work
        self.starting = 0
        self._until = float("inf")  # Seconds of the monotonic clock.

    @property
    def over(self) -> bool:
        """Whether the creation is over."""
        return not self.starting and self._until <= time.monotonic()

    def __enter__(self) -> None:
        self.starting += 1

    def __exit__(self, *_: object) -> None:
        self.starting -= 1
        self._until = time.monotonic() + _JUST_NOW_SECONDS if _worked(self.work) else 0


class SharedCreates:
    """The sessions that are being created for kernels, by the kernels' keys."""

    def __init__(self) -> None:
        self._makings: dict[str, Making] = {}

    def starting(self) -> list[int]:
        """Return the number of kernels that start with each session."""
        return [making.starting for making in self._makings.values()]

    @asynccontextmanager
    async def made(self, api: Api, spec: SessionSpec, key: str) -> AsyncIterator[SessionInfo]:
        """Give a new session, or the session that is being created for the same key. An empty key is never shared.

        Start the kernel within the block; until its end the session counts as being created.
        """
        if not key:
            yield await api.create(spec)
            return
        while True:
            making, new = self._making(api, spec, key)
            with making:
                row = await asyncio.shield(making.work)
                if not new:
                    row = await api.get(row.backend, row.id)
                if new or (row.live and row.status not in _ENDING):
                    yield row
                    return
            if self._makings.get(key) is making:
                self.forget(key)

    def _making(self, api: Api, spec: SessionSpec, key: str) -> tuple[Making, bool]:
        """Return the creation for a key, and whether it is new."""
        for old in [one for one, making in self._makings.items() if making.over]:
            del self._makings[old]
        if key in self._makings:
            return self._makings[key], False
        self._makings[key] = Making(asyncio.create_task(api.create(spec)))
        return self._makings[key], True

    def forget(self, key: str) -> None:
        """End the creation for a key, so that another request gets a new session."""
        self._makings.pop(key, None)

    def clear(self) -> None:
        """End all creations."""
        self._makings.clear()


def key_of(spec: SessionSpec) -> str:
    """Return the key of a notebook's kernel, or "" for a kernel without a notebook."""
    if spec.notebook_path is None:
        return ""
    wanted = [spec.notebook_path, spec.backend, spec.image, spec.resources, spec.environ]
    return msgspec.json.encode(wanted).decode()


def _worked(work: asyncio.Task[SessionInfo]) -> bool:
    return work.done() and not work.cancelled() and work.exception() is None
