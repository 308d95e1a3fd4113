"""Limits of memory and processes without control groups: looking often, and killing what is over."""

from __future__ import annotations

import logging
import threading
import time
from typing import Protocol

POLL_S = 0.25
_SLOWEST_S = 1.0
_log = logging.getLogger(__name__)


class Watched(Protocol):
    """A tree of processes with limits."""

    def look(self) -> float:
        """End what is over its limits; return for how many seconds it cannot exceed them again."""


class Watchdog:
    """One thread for all trees of a manager; it lives only while there are some.

    A thread, since a busy event loop must not give a process time to fill the machine.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[Watched, float] = {}
        self._running = False

    def watch(self, tree: Watched) -> None:
        """Look after a tree from now on."""
        with self._lock:
            self._due.setdefault(tree, 0.0)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def forget(self, tree: Watched) -> None:
        """Stop looking after a tree."""
        with self._lock:
            self._due.pop(tree, None)

    def _run(self) -> None:
        while True:
            now = time.monotonic()
            with self._lock:
                if not self._due:
                    self._running = False
                    return
                due = [tree for tree, when in self._due.items() if when <= now]
            for tree in due:
                self._look(tree)
            time.sleep(POLL_S)

    def _look(self, tree: Watched) -> None:
        started = time.monotonic()
        try:
            reach = tree.look()
        except Exception:
            _log.exception("A session could not be looked at.")
            reach = 0.0
        # Far from its limit a tree needs some time to get there, and looking takes time, too.
        cost = time.monotonic() - started
        pause = max(POLL_S, min(reach, _SLOWEST_S), 10 * cost)
        with self._lock:
            if tree in self._due:
                self._due[tree] = started + pause - POLL_S / 2
