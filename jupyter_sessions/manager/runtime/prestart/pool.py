"""A pool of interpreters started ahead of time, so that a person does not wait for imports.

The pool holds interpreters for the kinds of kernels that were started last. Each is a process of its own and is used
once, so sessions share no state.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from jupyter_sessions.manager.runtime.capacity import free_memory
from jupyter_sessions.manager.runtime.prestart.interpreter import Kind, PrestartedInterpreter
from jupyter_sessions.wire.identity import LINUX

_DELAY_S = 2.0
_KEPT_S = 900.0
_CLEAN_S = 30.0
_LEAST_MEMORY = 2 << 30

log = logging.getLogger("jupyter_sessions")


class PrestartPool:
    """Keeps at most `most` prestarted interpreters, for the kinds of kernels that were started last.

    `keep` are descriptors that all sessions hold. The pool does not depend on free capacity, because a running session
    may restart its kernel.
    """

    def __init__(self, most: int, keep: Collection[int] = ()) -> None:
        self._most = most if LINUX else 0
        self._keep = tuple(keep)
        self._interpreters: list[PrestartedInterpreter] = []
        self._used: dict[Kind, float] = {}
        self._unfit: dict[Kind, float] = {}
        self._timers: set[asyncio.TimerHandle] = set()
        self._cleaning = False

    @property
    def ready(self) -> int:
        """The number of interpreters that are ready."""
        return sum(interpreter.sources is not None for interpreter in self._interpreters)

    def holds(self, file: str) -> bool:
        """Return whether an interpreter of this program is ready, with unchanged packages."""
        return any(interpreter.kind.file == file and interpreter.fresh for interpreter in self._interpreters)

    def take(self, spec: Mapping[str, Any]) -> PrestartedInterpreter | None:
        """Return a prestarted interpreter for a spec, if there is one, and schedule the start of another."""
        kind = Kind.of(spec) if self._most else None
        now = time.monotonic()
        if kind is None or self._unfit.get(kind, now) > now:
            return None
        self._used[kind] = now
        self._later(_DELAY_S, lambda: self._fill(kind))
        for interpreter in [
            interpreter
            for interpreter in self._interpreters
            if interpreter.kind == kind and interpreter.sources is not None
        ]:
            self._interpreters.remove(interpreter)
            if interpreter.fresh:
                return interpreter
            interpreter.end()
        return None

    def resize(self, most: int) -> None:
        """Change the number of prestarted interpreters."""
        self._most = most if LINUX else 0
        while len(self._interpreters) > self._most:
            self._drop(self._interpreters[0])

    def close(self) -> None:
        """End all interpreters."""
        self._most = 0
        for timer in self._timers:
            timer.cancel()
        for interpreter in self._interpreters:
            interpreter.end()
        self._interpreters.clear()

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        def do() -> None:
            self._timers.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_later(seconds, do)
        self._timers.add(timer)

    def _fill(self, kind: Kind) -> None:
        """Start an interpreter, in place of the least recently used kind if the pool is full."""
        if not self._most or free_memory() < _LEAST_MEMORY:
            return
        if len(self._interpreters) == self._most:
            oldest = min(self._interpreters, key=lambda interpreter: self._used[interpreter.kind])
            if oldest.kind == kind:
                return
            self._drop(oldest)
        try:
            self._interpreters.append(PrestartedInterpreter(kind, self._keep, self._ended))
        except OSError as error:
            log.warning("no interpreter can be prestarted: %s", error)
        if not self._cleaning:
            self._cleaning = True
            self._later(_CLEAN_S, self._clean_up)

    def _clean_up(self) -> None:
        """End interpreters that are no longer needed or no longer match the installed packages."""
        now = time.monotonic()
        short = free_memory() < _LEAST_MEMORY / 2
        for interpreter in list(self._interpreters):
            stale = interpreter.sources is not None and not interpreter.fresh
            if short or stale or now - self._used[interpreter.kind] > _KEPT_S:
                self._drop(interpreter)
        self._used = {kind: when for kind, when in self._used.items() if now - when <= _KEPT_S}
        self._cleaning = bool(self._interpreters)
        if self._cleaning:
            self._later(_CLEAN_S, self._clean_up)

    def _drop(self, interpreter: PrestartedInterpreter) -> None:
        self._interpreters.remove(interpreter)
        interpreter.end()

    def _ended(self, interpreter: PrestartedInterpreter, why: str) -> None:
        self._interpreters.remove(interpreter)
        if interpreter.sources is None or interpreter.sources.error:
            self._unfit[interpreter.kind] = time.monotonic() + _KEPT_S
            log.info("%s is not prestarted: %s", interpreter.kind.file, why)
