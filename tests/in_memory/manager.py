"""The manager in a thread of this process, found by its contact file like any other."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from pathlib import Path

from jupyter_sessions import config
from jupyter_sessions.manager.app import managing
from jupyter_sessions.manager.settings import settings_of
from jupyter_sessions.wire.places import Contact, StateFolder
from tests.in_memory.runtime import InMemoryRuntime

_SECONDS = 20.0


class ManagerThread:
    """A manager of a state folder, until `stop`."""

    def __init__(self, where: StateFolder) -> None:
        self._where = where
        self._contact: Future[Contact] = Future()
        self._told_to_stop: asyncio.Event
        self._loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name="manager")

    def start(self) -> Contact:
        """Return how to reach it, once it serves."""
        self._thread.start()
        return self._contact.result(_SECONDS)

    def stop(self) -> None:
        """Return once it is gone."""
        self._loop.call_soon_threadsafe(self._told_to_stop.set)
        self._thread.join(_SECONDS)
        assert not self._thread.is_alive(), "the manager does not end"

    def _run(self) -> None:
        try:
            asyncio.run(self._manage())
        except BaseException as error:
            if self._contact.done():
                raise
            self._contact.set_exception(error)

    async def _manage(self) -> None:
        self._loop, self._told_to_stop = asyncio.get_running_loop(), asyncio.Event()
        runtime = InMemoryRuntime()
        async with managing(settings_of(config.load()), self._where, runtime) as manager:
            self._contact.set_result(manager.contact)
            await self._told_to_stop.wait()
        runtime.end_all()


_running: dict[Path, ManagerThread] = {}


def start(where: StateFolder, seconds: float = _SECONDS) -> Contact:
    """Start a manager here, in place of `local_manager._start`."""
    del seconds
    made = _running[where.folder] = ManagerThread(where)
    return made.start()


def stop(where: StateFolder) -> bool:
    """End the manager of a state folder, and return True if it runs here."""
    found = _running.pop(where.folder, None)
    if found is not None:
        found.stop()
    return found is not None
