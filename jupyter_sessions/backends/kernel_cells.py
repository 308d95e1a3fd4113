"""Cells of sessions whose backend says where their kernels are (`Backend.kernel_endpoint`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from jupyter_sessions.backends.values import Output
from jupyter_sessions.channels.kernel_endpoints import KernelEndpoint
from jupyter_sessions.errors import BackendUnavailable, NotRunning

if TYPE_CHECKING:
    from jupyter_sessions.channels.endpoint_client import EndpointClient

_ASK_AGAIN_SECONDS = 15.0
"""How long an endpoint is believed to be where it was."""
_IDLE_SECONDS = 60.0

FindEndpoint = Callable[[str], Awaitable[KernelEndpoint]]


class KernelCells:
    """Clients of one backend's kernels: one for each session in which something has run lately.

    `find` returns the endpoint of a session's kernel.
    """

    def __init__(self, find: FindEndpoint) -> None:
        self._find = find
        self._clients: dict[str, _KeptClient] = {}
        self._opening: dict[str, asyncio.Lock] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def execute(self, id: str, code: str, *, stdin: bool = False) -> AsyncIterator[Output]:
        """Run code; yield its messages as they come, the last of kind `reply`."""
        async with self._client(id) as client:
            run = client.execute(code, stdin=stdin)
            try:
                while (message := await run.messages.get()) is not None:
                    yield Output(kind=message["header"]["msg_type"], content=message["content"], run=run.id)
                yield Output(kind="reply", content=run.reply or {"status": "aborted"}, run=run.id)
            finally:
                client.forget(run)

    async def input(self, id: str, run: str, text: str) -> None:
        """Answer a run that asked for input. Errors: NotRunning if it is none of this process, or has ended."""
        kept = self._clients.get(id)
        if kept is None:
            raise NotRunning(f"There is no run '{run}' in this session any more.", field="run")
        kept.client.input(kept.client.run(run), text)

    async def complete(self, id: str, code: str, cursor: int) -> dict[str, Any]:
        """Return the content of a `complete_reply`. Errors: BackendUnavailable if the kernel ends meanwhile."""
        async with self._client(id) as client:
            run = client.complete(code, cursor)
            try:
                await run.replied.wait()
            finally:
                client.forget(run)
            reply = run.reply or {}
            if reply.get("status") == "error":
                raise BackendUnavailable(str(reply.get("evalue")), hint="Try again.")
            return reply

    async def interrupt(self, id: str) -> None:
        """Interrupt what the kernel computes, whoever runs it."""
        async with self._client(id) as client:
            await client.interrupt()

    async def restart(self, id: str) -> None:
        """Start the kernel again. Errors: NotSupported for one that is reached by ZeroMQ."""
        async with self._client(id) as client:
            await client.restart()

    async def close(self) -> None:
        """Disconnect from all kernels; they stay."""
        clients, self._clients = self._clients, {}
        await asyncio.gather(*(kept.client.disconnect() for kept in clients.values()), *self._closing)

    @asynccontextmanager
    async def _client(self, id: str) -> AsyncIterator[EndpointClient]:
        """A client that is kept for as long as it is used, and a minute more."""
        kept = await self._connected(id)
        kept.users += 1
        try:
            yield kept.client
        finally:
            kept.users -= 1
            if not kept.users:
                kept.left = time.monotonic()
                asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._drop_unused)

    async def _connected(self, id: str) -> _KeptClient:
        async with self._opening.setdefault(id, asyncio.Lock()):
            kept = self._clients.get(id)
            if kept is not None and kept.fresh():
                return kept
            endpoint = await self._find(id)
            if kept is not None and kept.client.endpoint == endpoint and not kept.client.closed.is_set():
                kept.asked = time.monotonic()
                return kept
            if kept is not None:
                await self._forget(id, kept)
            from jupyter_sessions.channels.endpoint_client import EndpointClient  # It takes its time.

            client = EndpointClient(endpoint)
            await client.open()
            self._clients[id] = kept = _KeptClient(client)
            return kept

    async def _forget(self, id: str, kept: _KeptClient) -> None:
        if self._clients.get(id) is kept:
            del self._clients[id]
        await kept.client.disconnect("The session's kernel is another one by now.")

    def _drop_unused(self) -> None:
        for key, kept in [*self._clients.items()]:
            if kept.unused():
                task = asyncio.create_task(self._forget(key, kept))
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


class _KeptClient:
    """A client, how many use it, and when its endpoint was asked for."""

    def __init__(self, client: EndpointClient) -> None:
        self.client = client
        self.asked = self.left = time.monotonic()
        self.users = 0

    def fresh(self) -> bool:
        return not self.client.closed.is_set() and time.monotonic() < self.asked + _ASK_AGAIN_SECONDS

    def unused(self) -> bool:
        return not self.users and time.monotonic() >= self.left + _IDLE_SECONDS
