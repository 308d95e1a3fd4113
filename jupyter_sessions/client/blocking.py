"""Blocking twins of asynchronous clients: each method waits for the one of the same name.

The coroutines run in an event loop of a background thread, which all twins of a process share. So they work in
scripts, threads and notebooks, whose own event loop only stands still while a method waits.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload
from weakref import WeakSet

from jupyter_sessions.client.connection import Connection
from jupyter_sessions.client.loop_thread import Bridge, Interrupted
from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire.access import VARIABLE, server_file

A = TypeVar("A")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class BackgroundLoop(Bridge):
    """The event loop of all blocking clients of this process; it closes their connections when the process exits."""

    def __init__(self) -> None:
        super().__init__()
        self.connections: WeakSet[Connection] = WeakSet()
        atexit.register(self.close, self._disconnect)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of a coroutine. Errors are those of the coroutine, without the traceback of this package."""
        __tracebackhide__ = True  # In IPython, which then shows the caller's line alone.
        try:
            return super().run(work)
        except SessionError as error:
            raise error.with_traceback(None) from None
        except Interrupted:  # A program ends by the signal only for the very class.
            raise KeyboardInterrupt from None

    async def _disconnect(self) -> None:
        await asyncio.gather(*(one.close() for one in self.connections), return_exceptions=True)


@lru_cache(maxsize=1)
def background() -> BackgroundLoop:
    """Return the event loop that the blocking clients of this process share."""
    return BackgroundLoop()


class Blocking(Generic[A]):
    """The blocking twin of an asynchronous client."""

    def __init__(self, client: A, connection: Connection) -> None:
        self._client = client
        background().connections.add(connection)


@overload
def blocking(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[Blocking[A], P], T]: ...


@overload
def blocking(
    method: Callable[Concatenate[A, P], Coroutine[Any, Any, T]], made: Callable[[T], R]
) -> Callable[Concatenate[Blocking[A], P], R]: ...


def blocking(method: Any, made: Callable[[Any], Any] | None = None) -> Any:
    """Return the blocking twin of a coroutine method, with its signature and documentation.

    `made` makes the twin's result from the method's.
    """

    @wraps(method)
    def waits(self: Blocking[Any], /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        refuse_in_loop(f"{type(self).__name__}.{method.__name__}")
        result = background().run(method(self._client, *args, **kwargs))
        return result if made is None else made(result)

    if made is not None:
        result_of = made.__name__ if isinstance(made, type) else inspect.signature(made).return_annotation
        signature = inspect.signature(method).replace(return_annotation=result_of)
        waits.__signature__ = signature  # type: ignore[attr-defined]
    return waits


class Reading(Generic[A, R]):
    """An attribute of a blocking twin: what a coroutine method without arguments returns now."""

    def __init__(self, method: Callable[[A], Coroutine[Any, Any, R]]) -> None:
        self.__doc__ = method.__doc__
        self._method = method

    @overload
    def __get__(self, twin: None, kind: type) -> Self: ...

    @overload
    def __get__(self, twin: Blocking[A], kind: type) -> R: ...

    def __get__(self, twin: Blocking[A] | None, kind: type) -> Any:
        return self if twin is None else blocking(self._method)(twin)


def iterating(
    method: Callable[Concatenate[A, P], AsyncIterator[T]],
) -> Callable[Concatenate[Blocking[A], P], Iterator[T]]:
    """Return the blocking twin of a method that iterates asynchronously."""

    @wraps(method)
    def iterates(self: Blocking[A], /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        refuse_in_loop(f"{type(self).__name__}.{method.__name__}")
        items = background().iterate(method(self._client, *args, **kwargs))
        try:
            yield from items
        finally:
            items.close()

    return iterates


def refuse_in_loop(name: str) -> None:
    """Refuse to wait in the event loop that does the work, which would stand still for ever.

    Errors: RuntimeError in the thread of `background`, as in a callback of a future, and in an event loop of a Jupyter
    server with our extension.
    """
    if not (background().is_here or _serves_here()):
        return
    raise RuntimeError(
        f"{name} cannot wait here: it would stop the event loop that does its work. "
        "Await the method of the asynchronous class instead, or call this one in another thread."
    )


def _serves_here() -> bool:
    """Whether this thread runs an event loop in the process of a Jupyter server that has our extension."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return Path(os.environ.get(VARIABLE, "")).name == server_file(os.getpid())
