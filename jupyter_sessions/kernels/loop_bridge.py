"""What kernels ask of backends, from whichever event loop they are asked in.

Kernel managers without a loop (nbclient, papermill, `jupyter console`) run one only during each call.
So the work is done in another: in a Jupyter server in that of its own service, elsewhere in that of a
thread, where connections and watches live on between the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from jupyter_sessions.client import Api, Bridge, connect
from jupyter_sessions.service import in_use

T = TypeVar("T")
Work = Callable[[Api], Coroutine[Any, Any, T]]

_bridge = Bridge()
_connection: list[Api] = []


async def call(work: Work[T]) -> T:
    """The result of work on sessions. Cancelled, the work is cancelled, too."""
    shared = in_use()
    if shared is not None and shared[1] is asyncio.get_running_loop():
        return await work(shared[0])
    return await asyncio.wrap_future(start(work))


def start(work: Work[T]) -> Future[T]:
    """Begin work on sessions; it goes on whether or not this thread runs a loop."""
    shared = in_use()
    if shared is not None:
        return asyncio.run_coroutine_threadsafe(work(shared[0]), shared[1])
    return _bridge.start(_connected(work))


async def _connected(work: Work[T]) -> T:
    """Connect as any kernel does; anew if the server that it led to is gone."""
    if _connection and not await _connection[0].alive():
        await _connection.pop().close()
    if not _connection:
        _connection.append(await connect())
    return await work(_connection[0])
