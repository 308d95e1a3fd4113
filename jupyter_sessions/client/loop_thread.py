"""An event loop in a thread of its own, for blocking code that calls coroutines.

A notebook's kernel has an event loop already, which a magic must not block.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
Say = Callable[[Any], None]
"""Takes the messages of a coroutine: mostly lines of text."""
_END = object()
_PARTING_SECONDS = 2.0


class Interrupted(KeyboardInterrupt):
    """An interrupt that cancelled a coroutine; `last_words` are the messages it sent while it was cancelled."""

    def __init__(self, last_words: list[str]) -> None:
        super().__init__(*last_words)
        self.last_words = last_words


class Items(Iterator[T]):
    """Items that another thread produces. An interrupt while waiting loses none: continue, or `close`."""

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
        """Stop producing items."""
        self._maker.cancel()


class Bridge:
    """Runs coroutines for a blocking thread. The event loop starts on first use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of a coroutine. Errors: Interrupted; the coroutine is cancelled then."""
        return self.talk(lambda say: work, lambda text: None)

    @property
    def is_here(self) -> bool:
        """Whether the calling thread is the one that runs the event loop, which must not wait for itself."""
        return self._thread is threading.current_thread()

    def talk(self, work: Callable[[Say], Coroutine[Any, Any, T]], say: Say) -> T:
        """Return the result of a coroutine, and pass its messages to `say` in the calling thread.

        Errors: Interrupted; the coroutine is cancelled then.
        """
        words: queue.SimpleQueue[Any] = queue.SimpleQueue()
        future = self.start(_ending(work(words.put), words))
        try:
            while (word := words.get()) is not _END:
                say(word)
        except KeyboardInterrupt:
            future.cancel()
            last_words: list[str] = []
            with suppress(queue.Empty):
                while (word := words.get(timeout=_PARTING_SECONDS)) is not _END:
                    last_words.append(word)
            raise Interrupted(last_words) from None
        return future.result()

    def iterate(self, source: AsyncIterator[T]) -> Items[T]:
        """Return the items of an asynchronous iterator as they arrive."""
        items: queue.SimpleQueue[Any] = queue.SimpleQueue()
        return Items(items, self.start(_ending(_pump(source, items), items)))

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine; may be called from any thread."""
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():  # After a fork.
                self._loop = asyncio.new_event_loop()
                name = "jupyter_sessions"
                self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel all that runs, do one `last` thing, and end the thread. Nothing is done if it never began."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_finish(last), loop).result(_PARTING_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PARTING_SECONDS)
        if not thread.is_alive():
            loop.close()


async def _finish(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    running = asyncio.all_tasks() - {asyncio.current_task()}
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await last()


async def _ending(work: Coroutine[Any, Any, T], items: queue.SimpleQueue[Any]) -> T:
    try:
        return await work
    finally:
        items.put(_END)


async def _pump(source: AsyncIterator[Any], items: queue.SimpleQueue[Any]) -> None:
    async for item in source:
        items.put(item)
