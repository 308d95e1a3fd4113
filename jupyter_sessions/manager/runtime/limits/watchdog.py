"""Enforce limits without control groups: measure often, and kill what exceeds its limits."""

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

    def check(self) -> float:
        """End the processes if a limit is exceeded. Return for how many seconds it cannot be exceeded again."""


class Watchdog:
    """A thread that watches all trees of a manager, and runs only while there are any.

    It is a thread because a busy event loop would give a process time to fill the machine's memory.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._due: dict[Watched, float] = {}
        self._running = False

    def watch(self, tree: Watched) -> None:
        """Watch a tree from now on."""
        with self._lock:
            self._due.setdefault(tree, 0.0)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="watchdog", daemon=True).start()

    def forget(self, tree: Watched) -> None:
        """Stop watching a tree."""
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
                self._check(tree)
            time.sleep(POLL_S)

    def _check(self, tree: Watched) -> None:
        started = time.monotonic()
        try:
            reach = tree.check()
        except Exception:
            _log.exception("The limits of a session could not be checked.")
            reach = 0.0
        # Far from its limit a tree needs time to reach it, and a check has its own cost.
        cost = time.monotonic() - started
        pause = max(POLL_S, min(reach, _SLOWEST_S), 10 * cost)
        with self._lock:
            if tree in self._due:
                self._due[tree] = started + pause - POLL_S / 2
