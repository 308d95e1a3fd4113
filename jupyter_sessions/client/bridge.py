"""From code that waits to code that awaits: an event loop in a thread of its own.

A notebook's kernel has a loop already, which a magic must not block.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


class Items(Iterator[T]):
    """Items that another thread makes. An interrupt while waiting for one loses none: go on, or `close`."""

    def __init__(self, items: queue.SimpleQueue[Any], maker: Future[None]) -> None:
        self._items = items
        self._maker = maker

    def __next__(self) -> T:
        item = self._items.get()
        if item is _END:
            self._maker.result()
            raise StopIteration
        return item  # type: ignore[no-any-return]

    def close(self) -> None:
        """Ask for no more."""
        self._maker.cancel()


class Bridge:
    """Runs coroutines for a thread that waits. The loop starts on first use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine. Interrupted, it is cancelled and the interrupt raised."""
        future = self._start(work)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def iterate(self, source: AsyncIterator[T]) -> Items[T]:
        """The items of an asynchronous iterator as they come."""
        items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        return Items(items, self._start(_pump(source, items)))

    def _start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="jupyter_sessions", daemon=True).start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)


async def _pump(source: AsyncIterator[Any], items: queue.SimpleQueue[Any]) -> None:
    try:
        async for item in source:
            items.put(item)
    finally:
        items.put(_END)
