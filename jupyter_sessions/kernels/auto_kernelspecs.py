"""Kernelspecs for running sessions, to which notebooks of a server can attach.

They lie in a folder of this server alone, so that they do not mix with a person's own kernelspecs, nor with those of
other hosts that share the home folder.
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
"""The most kernelspecs: a launcher shows each twice, for notebooks and consoles, and more would hide other kernels."""
_GOING = ("ERROR", "TERMINATING")


class SessionKernelSpecs:
    """Updates the kernelspecs after changes of sessions.

    `manager` is the server's KernelSpecManager; `kernels` are the server's kernels that run in sessions.
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
        """Handle a batch of changes."""
        if cleanup.forget_ended(batch):
            self._service.feed.tell_of_kernels()
        concerned = [self._concerns(change) for change in batch.changes]
        if any(concerned):
            self._news.set()

    async def keep(self) -> None:
        """Update the kernelspecs after each change, until cancelled."""
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
        """Remove all kernelspecs."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _concerns(self, change: Change) -> bool:
        """Return whether a change affects the name or status of a session that has started."""
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
        """Write missing kernelspecs and remove others. Return whether anything has changed."""
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
        """Return whether notebooks may attach to a session: not to batch sessions, owned sessions or the server's own session."""
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
        other = specs.get(
            kernel.name
        )  # A user's kernelspec, made to open a notebook on the session, takes precedence.
        if other is not None and other.ends_with_session and other != kernel:
            specs.add(kernel)

    def _place(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="jupyter_sessions-kernels-"))
            self._manager.kernel_dirs = [*self._manager.kernel_dirs, str(self._folder)]
        return self._folder

    def _may_go(self, name: str) -> bool:
        """Return whether a kernelspec may be removed: not while notebooks are connected to its live session."""
        backend, _, uid = self._offered[name].session.partition("/")
        lives = (backend, uid) in self._seen
        return not (lives and (backend, uid) in self._kernels.sessions())


def _created(row: SessionInfo) -> float:
    return row.created_at.timestamp() if row.created_at else 0
