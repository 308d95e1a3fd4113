"""What a session printed, kept within bounds on disk."""

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
"""Of what its code printed, twice that: with `journal.JOURNAL_BYTES` 64 MiB a session hold all."""
MANAGER_BYTES = 8 * 1024**2
KERNEL_BYTES = 8 * 1024**2
SERVICE_BYTES = 2 * 1024**2
TAIL_BYTES = 1024**2
_MOST_PENDING = 1024**2
"""Characters that are held at most until they are written."""


class LogFiles:
    """The log files of one session: what the kernel's processes wrote and what its code printed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._output = folder / "output.log"
        self._older = folder / "output.log.1"
        self._pending: list[str] = []
        self._held = 0
        self.kernel = folder / "kernel.log"

    def take(self, message: dict[str, Any]) -> None:
        """Keep what a message on iopub prints. What was read together is written together, before the loop turns."""
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
            self._flush_soon()

    def _flush_soon(self) -> None:
        try:
            asyncio.get_running_loop().call_soon(self.flush)
        except RuntimeError:  # There is no loop.
            self.flush()

    def flush(self) -> None:
        """Write what was taken."""
        text, self._pending, self._held = "".join(self._pending), [], 0
        if text:
            self._append(text)

    def text(self) -> str:
        """The newest part of both."""
        self.flush()
        newest = tail(self._output)
        older = tail(self._older, max(0, TAIL_BYTES - len(newest.encode())))
        return tail(self.kernel) + older + newest

    def trim(self) -> None:
        """Keep what the processes of kernel and services write themselves within bounds, too."""
        trim(self.kernel, KERNEL_BYTES)
        for log in self._folder.glob("service-*.log"):
            trim(log, SERVICE_BYTES)

    def _append(self, text: str) -> None:
        try:
            with self._output.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text)
                full = file.tell() > OUTPUT_BYTES
            if full:
                os.replace(self._output, self._older)
        except OSError:
            return  # A full disk must not end the session; the output still reaches who listens.


class AtMost(logging.Filter):
    """Lets a message through so many times a minute; the first one of the next says how many were left out."""

    def __init__(self, times: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._times = times
        self._clock = clock
        self._minute = 0
        self._seen: Counter[tuple[str, int, str]] = Counter()
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is written. Messages are told apart by where they are logged, and by their error."""
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
    """Keep the newest half of a log of more than `most` bytes. Its writers append, so they go on at its new end."""
    with suppress(OSError):
        if path.stat().st_size > most:
            newest = tail(path, most // 2)
            os.truncate(path, 0)
            with path.open("a", encoding="utf-8") as file:
                file.write(newest)


def tail(path: Path, size: int = TAIL_BYTES) -> str:
    """The last `size` bytes of a text file from the beginning of a line; "" if there is none."""
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
    """The last line of a log that is not empty, for a reason in one sentence."""
    return "".join(last_lines(path, 1))


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log that are not empty, at most `count`."""
    lines = [line.strip() for line in tail(path, 8192).splitlines()]
    return [line for line in lines if line][-count:]
