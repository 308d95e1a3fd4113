"""What the kernels of one process share: their way to the backends, and the sessions that several of them are in.

A Jupyter server's extension makes a `SessionKernels` of its service and announces it with `use`; in every
other process `current` makes one when it is first asked. Nothing about kernels is kept outside of it.

Kernel managers without a loop (nbclient, papermill, `jupyter console`) run one only during each call. So the
work is done in another: in a Jupyter server in that of its service, elsewhere in that of a thread, where
connections and watches live on between the calls.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Protocol, TypeVar
from weakref import WeakValueDictionary

from jupyter_sessions.client import Api, Bridge, open_api
from jupyter_sessions.errors import SessionError
from jupyter_sessions.kernels.shared_creates import SharedCreates
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service import SessionService

T = TypeVar("T")
Work = Callable[[Api], Coroutine[Any, Any, T]]


class KernelRow(Protocol):
    """A kernel with the row of its session."""

    row: SessionInfo | None


class SessionKernels:
    """The kernels of one process that run in sessions.

    With a `service`, which is a Jupyter server's, they reach sessions through it; make the object within the
    loop that the service runs in. Without one they connect as any kernel does.
    """

    def __init__(self, service: SessionService | None = None) -> None:
        self._service = service
        self._loop = None if service is None else asyncio.get_running_loop()
        self._bridge = Bridge()
        self._connection: Api | None = None
        self._kernels: WeakValueDictionary[str, KernelRow] = WeakValueDictionary()
        self._holders: Counter[tuple[str, str]] = Counter()
        self.creates = SharedCreates()

    @property
    def in_server(self) -> bool:
        """Whether these are the kernels of a Jupyter server, which runs."""
        return self._loop is not None and self._loop.is_running()

    async def call(self, work: Work[T]) -> T:
        """Return the result of work on sessions. If this is cancelled, the work is, too."""
        if self._service is not None and self._loop is asyncio.get_running_loop():
            return await work(self._service)
        return await asyncio.wrap_future(self.start(work))

    def start(self, work: Work[T]) -> Future[T]:
        """Begin work on sessions; it goes on whether or not this thread runs a loop."""
        if self._service is not None and self._loop is not None:
            return asyncio.run_coroutine_threadsafe(work(self._service), self._loop)
        return self._bridge.start(self._connected(work))

    async def _connected(self, work: Work[T]) -> T:
        """Do the work; connect again before if the server of the last connection is gone."""
        if self._connection is not None and not await self._connection.alive():
            await self._disconnect()
        if self._connection is None:
            self._connection = await open_api()
        return await work(self._connection)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SessionError):
                await connection.close()

    def close(self) -> None:
        """Forget the kernels, cancel what this process's own loop does for them, and disconnect; sessions run on.

        A kernel that is let go of later connects again: a Jupyter server stops its kernels after its extensions.
        """
        self._kernels.clear()
        self.creates.clear()
        self._bridge.close(self._disconnect)

    # Which kernel runs in which session.

    def add(self, kernel_id: str, kernel: KernelRow) -> None:
        """Remember a kernel for as long as it is there."""
        self._kernels[kernel_id] = kernel

    def session_of(self, kernel_id: str) -> SessionInfo | None:
        """Return the row of a kernel's session; None if it runs in none."""
        kernel = self._kernels.get(kernel_id)
        return kernel.row if kernel is not None else None

    def sessions(self) -> set[tuple[str, str]]:
        """Return the sessions that kernels run in, by backend and id."""
        rows = [kernel.row for kernel in self._kernels.values()]
        return {(row.backend, row.id) for row in rows if row is not None}

    # How many kernels hold a session that was made for them: it ends with the last one. Several of one
    # notebook do whose session was asked for again while it was being made (`shared_creates`).

    def hold(self, row: SessionInfo) -> None:
        """Count one more kernel in a session."""
        self._holders[row.backend, row.id] += 1

    def release(self, row: SessionInfo) -> bool:
        """Count one kernel less in a session; return whether it was the last one."""
        self._holders[row.backend, row.id] -= 1
        if self._holders[row.backend, row.id] > 0:
            return False
        del self._holders[row.backend, row.id]
        return True

    def is_shared(self, row: SessionInfo) -> bool:
        """Whether several kernels hold a session."""
        return self._holders[row.backend, row.id] > 1


_server: SessionKernels | None = None
_own: SessionKernels | None = None


def use(kernels: SessionKernels | None) -> None:
    """Make these the kernels of this process, which is a Jupyter server; None once the server ends."""
    global _server
    _server = kernels


def current() -> SessionKernels:
    """Return the kernels of this process: those of its Jupyter server while that runs, else its own."""
    global _own
    if _server is not None and _server.in_server:
        return _server
    if _own is None:
        _own = SessionKernels()
    return _own
