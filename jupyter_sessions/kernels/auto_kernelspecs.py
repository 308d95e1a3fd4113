"""The sessions that run, among the kernels of a server: each is one that notebooks may attach to.

Their kernelspecs are in a folder that is this server's alone, so that they mix with no person's, and in a
home that hosts share none shows what only another one runs.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from jupyter_sessions.errors import SessionError
from jupyter_sessions.kernels import cleanup, specs
from jupyter_sessions.kernels.definition import name_for, of_session, title_of
from jupyter_sessions.kernels.session_kernels import SessionKernels
from jupyter_sessions.kernels.specs import Kernel
from jupyter_sessions.model import USABLE, SessionInfo
from jupyter_sessions.service import Batch, Change, SessionPut, SessionRemoved, SessionService
from jupyter_sessions.service.feed import SessionKey

log = logging.getLogger("jupyter_sessions")

MOST = 10
"""A launcher shows each as a card, twice, for notebooks and for consoles: more would bury the others."""
_GOING = ("ERROR", "TERMINATING")


class SessionKernelSpecs:
    """Keeps them in step with the changes that it hears of.

    `manager` is the server's KernelSpecManager, `kernels` are those of the server that run in sessions.
    """

    def __init__(self, service: SessionService, manager: Any, kernels: SessionKernels) -> None:
        self._kernels = kernels
        self._service = service
        self._manager = manager
        self._folder: Path | None = None
        self._offered: dict[str, Kernel] = {}
        self._seen: dict[SessionKey, tuple[str, str]] = {}
        self._news = asyncio.Event()

    def hear(self, batch: Batch) -> None:
        """Take in what has changed."""
        if cleanup.forget_ended(batch):
            self._service.feed.tell_of_kernels()
        concerned = [self._concerns(change) for change in batch.changes]
        if any(concerned):
            self._news.set()

    async def keep(self) -> None:
        """Do what is to be done, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                changed = await self._update()
            except (SessionError, OSError) as error:
                log.warning("Running sessions cannot be offered as kernels: %s", error)
                continue
            if changed:
                self._service.feed.tell_of_kernels()

    def close(self) -> None:
        """Offer nothing any more."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _concerns(self, change: Change) -> bool:
        """Whether a change is of a session that has begun to run, and of its name or status."""
        if isinstance(change, SessionRemoved):
            return self._seen.pop((change.backend, change.id), None) is not None
        if not isinstance(change, SessionPut):
            return False
        row = change.session
        key = (row.backend, row.id)
        before = self._seen.pop(key, None)
        if not row.live:
            return before is not None
        if before is None and row.status not in USABLE:
            return False
        self._seen[key] = row.name, row.status
        return self._seen[key] != before

    async def _update(self) -> bool:
        """Offer what is to be offered and no more; whether anything has changed."""
        wanted = {name_for(row.backend, row.id): row for row in self._newest()}
        news = [row for name, row in wanted.items() if not self._is_offered(name, row)]
        for row in news:
            await self._offer(row)
        gone = [name for name in self._offered if name not in wanted and self._may_go(name)]
        for name in gone:
            del self._offered[name]
            await asyncio.to_thread(shutil.rmtree, self._place() / name, ignore_errors=True)
        return bool(news or gone)

    def _newest(self) -> list[SessionInfo]:
        backends = [one for one in self._service.backends.values() if "connection" in one.capabilities()]
        rows = [row for one in backends for row in self._service.feed.rows(one.name) if self._suits(row)]
        return heapq.nlargest(MOST, rows, key=_created)

    def _suits(self, row: SessionInfo) -> bool:
        """Whether notebooks may attach to it: it is no batch job, no notebook's own, and not what this server is in."""
        begun = row.status in USABLE or name_for(row.backend, row.id) in self._offered
        backends = self._service.backends.values()
        is_ours = row.id in [os.environ.get(name) for one in backends for name in one.session_variables]
        return begun and row.status not in _GOING and row.type == "interactive" and not (row.owned or is_ours)

    def _is_offered(self, name: str, row: SessionInfo) -> bool:
        return name in self._offered and self._offered[name].display_name == title_of(row.name)

    async def _offer(self, row: SessionInfo) -> None:
        kernel = await of_session(self._service, row)
        await asyncio.to_thread(self._write, kernel)
        self._offered[kernel.name] = kernel

    def _write(self, kernel: Kernel) -> None:
        specs.write(kernel, self._place() / kernel.name)
        other = specs.get(kernel.name)  # It goes before, and was made to open a notebook on the session.
        if other is not None and other.ends_with_session and other != kernel:
            specs.add(kernel)

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="jupyter_sessions-kernels-"))
            self._manager.kernel_dirs = [*self._manager.kernel_dirs, str(self._folder)]
        return self._folder

    def _may_go(self, name: str) -> bool:
        """Not while there are notebooks on a session that lives, which would have no kernel to come back to."""
        backend, _, uid = self._offered[name].session.partition("/")
        lives = (backend, uid) in self._seen
        return not (lives and (backend, uid) in self._kernels.sessions())


def _created(row: SessionInfo) -> float:
    return row.created_at.timestamp() if row.created_at else 0
