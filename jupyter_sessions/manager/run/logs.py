"""The log files of a session, within bounds on disk."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

OUTPUT_BYTES = 8 * 1024**2
"""Two files of this size hold the output of code; with `journal.JOURNAL_BYTES`, 64 MiB are enough for a session."""
MANAGER_BYTES = 8 * 1024**2
KERNEL_BYTES = 8 * 1024**2
SERVICE_BYTES = 2 * 1024**2
TAIL_BYTES = 1024**2
_MOST_PENDING = 1024**2
"""The most characters that are kept in memory before they are written."""


class LogFiles:
    """The log files of one session: the output of its processes, and the output of its code."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._output = folder / "output.log"
        self._older = folder / "output.log.1"
        self._pending: list[str] = []
        self._held = 0
        self.kernel = folder / "kernel.log"

    def add(self, message: dict[str, Any]) -> None:
        """Add the output in a message on iopub. All messages of one turn of the event loop are written together."""
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            text = str(content.get("text", ""))
        elif kind == "error":
            text = "\n".join(content.get("traceback", [])) + "\n"
        else:
            return
        self._pending.append(text)
        self._held += len(text)
        if self._held > _MOST_PENDING:
            self.flush()
        elif len(self._pending) == 1:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:  # No event loop runs.
                self.flush()

    def flush(self) -> None:
        """Write pending output."""
        text, self._pending, self._held = "".join(self._pending), [], 0
        if text:
            self._append(text)

    def _append(self, text: str) -> None:
        # A full disk must not end the session; connected clients still get the output.
        with suppress(OSError):
            with self._output.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text)
                full = file.tell() > OUTPUT_BYTES
            if full:
                os.replace(self._output, self._older)

    def text(self) -> str:
        """Return the newest part of both logs."""
        self.flush()
        newest = tail(self._output)
        older = tail(self._older, max(0, TAIL_BYTES - len(newest.encode())))
        return tail(self.kernel) + older + newest

    def trim(self) -> None:
        """Trim the files that the processes of kernel and services write themselves."""
        trim(self.kernel, KERNEL_BYTES)
        for log in self._folder.glob("service-*.log"):
            trim(log, SERVICE_BYTES)


class AtMost(logging.Filter):
    """Limits a log message to some times a minute; the first message of the next minute tells how many were left out."""

    def __init__(self, times: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._times = times
        self._clock = clock
        self._minute = 0
        self._seen: Counter[tuple[str, int, str]] = Counter()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record. Messages are distinguished by their place in the code and their error."""
        failed = record.exc_info[0] if record.exc_info else None
        key = (record.pathname, record.lineno, failed.__name__ if failed else "")
        with self._lock:
            minute = int(self._clock() // 60)
            if minute != self._minute:
                self._minute, before, self._seen = minute, self._seen, Counter()
                left_out = sum(count - self._times for count in before.values() if count > self._times)
                if left_out:
                    record.msg, record.args = f"{record.getMessage()} ({left_out} lines were left out)", ()
            self._seen[key] += 1
            return self._seen[key] <= self._times


def trim(path: Path, most: int) -> None:
    """Keep the newest half of a log of more than `most` bytes. Its writers append, so they continue at the new end."""
    with suppress(OSError):
        if path.stat().st_size > most:
            newest = tail(path, most // 2)
            os.truncate(path, 0)
            with path.open("a", encoding="utf-8") as file:
                file.write(newest)


def tail(path: Path, size: int = TAIL_BYTES) -> str:
    """Return the last `size` bytes of a text file, from the beginning of a line, or "" if it cannot be read."""
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(max(0, length - size))
            data = file.read(size)
    except OSError:
        return ""
    if length > size:
        data = data.partition(b"\n")[2]
    return data.decode(errors="replace")


def last_line(path: Path) -> str:
    """Return the last line of a log that is not empty."""
    return "".join(last_lines(path, 1))


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last `count` lines of a log that are not empty."""
    lines = [line.strip() for line in tail(path, 8192).splitlines()]
    return [line for line in lines if line][-count:]
