"""What the kernels of one process share: the connection to the backends, and the use of sessions.

A Jupyter server's extension creates a `SessionKernels` with its service and registers it with `use`; in every other
process, `current` creates one on first use. It holds all state about kernels.

Kernel managers in nbclient, papermill and `jupyter console` run an event loop only during each call. So the work runs
in another loop, where connections and watches live on between the calls: in a Jupyter server in the loop of its
service, elsewhere in the loop of a thread.
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

    With the `service` of a Jupyter server, they use sessions through it, and this object must be created in the service's
    event loop. Without a service, they connect like any client.
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
        """Whether these are the kernels of a running Jupyter server."""
        return self._loop is not None and self._loop.is_running()

    async def call(self, work: Work[T]) -> T:
        """Run a coroutine on sessions, and return its result. A cancel also cancels the coroutine."""
        if self._service is not None and self._loop is asyncio.get_running_loop():
            return await work(self._service)
        return await asyncio.wrap_future(self.start(work))

    def start(self, work: Work[T]) -> Future[T]:
        """Start a coroutine on sessions, which runs whether or not this thread has a running loop."""
        if self._service is not None and self._loop is not None:
            return asyncio.run_coroutine_threadsafe(work(self._service), self._loop)
        return self._bridge.start(self._connected(work))

    async def _connected(self, work: Work[T]) -> T:
        """Run a coroutine, with a new connection if the server of the last one is gone."""
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
        """Forget the kernels, cancel their work in this process's own loop, and disconnect. Sessions keep running.

        A kernel that is released later connects again, because a Jupyter server stops its kernels after its extensions.
        """
        self._kernels.clear()
        self.creates.clear()
        self._bridge.close(self._disconnect)

    # Sessions of kernels.

    def add(self, kernel_id: str, kernel: KernelRow) -> None:
        """Register a kernel for as long as it exists."""
        self._kernels[kernel_id] = kernel

    def session_of(self, kernel_id: str) -> SessionInfo | None:
        """Return the session of a kernel, or None if it does not run in a session."""
        kernel = self._kernels.get(kernel_id)
        return kernel.row if kernel is not None else None

    def sessions(self) -> set[tuple[str, str]]:
        """Return backend and id of the sessions in which kernels run."""
        rows = [kernel.row for kernel in self._kernels.values()]
        return {(row.backend, row.id) for row in rows if row is not None}

    # The number of kernels that use a session created for them, which ends with the last one. A notebook can have several
    # if its session was requested again while it was being created (`shared_creates`).

    def hold(self, row: SessionInfo) -> None:
        """Count one more kernel in a session."""
        self._holders[row.backend, row.id] += 1

    def release(self, row: SessionInfo) -> bool:
        """Count one kernel less in a session. Return whether it was the last one."""
        self._holders[row.backend, row.id] -= 1
        if self._holders[row.backend, row.id] > 0:
            return False
        del self._holders[row.backend, row.id]
        return True

    def is_shared(self, row: SessionInfo) -> bool:
        """Return whether several kernels use a session."""
        return self._holders[row.backend, row.id] > 1


_server: SessionKernels | None = None
_own: SessionKernels | None = None


def use(kernels: SessionKernels | None) -> None:
    """Set the kernels of this process, which is a Jupyter server; None when the server ends."""
    global _server
    _server = kernels


def current() -> SessionKernels:
    """Return the kernels of this process: those of its running Jupyter server, otherwise its own."""
    global _own
    if _server is not None and _server.in_server:
        return _server
    if _own is None:
        _own = SessionKernels()
    return _own
