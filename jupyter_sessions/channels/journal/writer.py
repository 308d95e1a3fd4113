"""Write the journal of one session.

Written output survives a crash of the manager and takes up no memory.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from jupyter_sessions.channels.journal.entries import (
    Began,
    Ended,
    JournalLine,
    add_gap,
    entry,
    file_of,
    lines,
    numbers,
)
from jupyter_sessions.channels.journal.folding import KINDS, Fold, Note, Said, display_id, encode
from jupyter_sessions.channels.journal_messages import Gap
from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire.files import remove, write_private
from jupyter_sessions.wire.places import private_folder

JOURNAL_BYTES = 32 * 1024**2
RUN_BYTES = 16 * 1024**2
MOST_RUNS = 1000
_MOST_DISPLAYS = 1000
_MOST_KNOWN = 64
_MOST_RUNNING = 8


class _OpenExecution(msgspec.Struct):
    """An execution by its number. `missed` is true if it ran while no manager was running."""

    number: int
    failed: bool = False
    ended: bool = False
    missed: bool = False


class Journal:
    """The journal in a folder, within limits of size.

    One execution keeps about `RUN_BYTES`, its beginning and its end; all together keep the newest `JOURNAL_BYTES`.
    A full disk only loses output.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mark = folder / "seen"
        self._runs: dict[str, _OpenExecution] = {}
        self._displays: dict[str, list[int]] = {}
        self._sizes = {number: _size(file_of(folder, number)) for number in numbers(folder)}
        self._total = sum(self._sizes.values())
        self._file: BinaryIO | None = None
        self._written = 0
        self._torn = set[int]()
        """Executions whose last line is incomplete because the disk became full."""

    def add(self, message: dict[str, Any]) -> None:
        """Write a message on iopub, if it belongs to an execution."""
        kind, content = message["header"]["msg_type"], message["content"]
        request = str(message["parent_header"].get("msg_id", ""))
        if kind == "execute_input" and request not in self._runs:
            self._begin(request, content)
        run = self._runs.get(request)
        if kind == "update_display_data" and display_id(content) in self._displays:
            for number in self._displays[display_id(content)]:
                self._write(number, Said(kind, content))
        elif run is None:
            return
        elif kind == "status" and content.get("execution_state") == "idle":
            self._end(run, "error" if run.failed else "ok")
        elif kind in KINDS:
            self._add_output(run, kind, content)

    def mark_attended(self) -> None:
        """Record that a manager runs. Call it about once a second."""
        with suppress(OSError, SessionError):
            private_folder(self._folder)
            self._mark.touch()

    def resume(self) -> None:
        """Continue the journal of an earlier manager, and record the time in which no manager ran."""
        with suppress(OSError):
            gap = Gap(datetime.fromtimestamp(self._mark.stat().st_mtime, UTC), datetime.now(UTC))
            add_gap(self._folder, gap)
            for number in [*self._sizes][-_MOST_RUNNING:]:
                with suppress(OSError):
                    self._resume_execution(number, gap)

    def caught_up(self) -> None:
        """End executions from before `resume` that have not ended since, because the kernel is idle."""
        for run in self._runs.values():
            if run.missed:
                self._end(run, "unknown")

    def close(self, why: str) -> None:
        """End all executions, because the kernel is gone."""
        for run in self._runs.values():
            if not run.ended:
                error = {"ename": "SessionEnded", "evalue": why, "traceback": [why]}
                self._write(run.number, Said("error", error))
                self._end(run, "error")
        self._runs.clear()
        self._displays.clear()
        self._close_file()

    # Files.

    def _begin(self, request: str, content: dict[str, Any]) -> None:
        number = next(reversed(self._sizes), 0) + 1
        self._sizes[number] = 0
        _put(self._runs, request, _OpenExecution(number), _MOST_KNOWN)
        now, count = datetime.now(UTC), content.get("execution_count")
        self._write(number, Began(number, request, str(content.get("code", "")), now, count))

    def _add_output(self, run: _OpenExecution, kind: str, content: dict[str, Any]) -> None:
        run.failed = run.failed or kind == "error"
        if shown := display_id(content):
            others = [number for number in self._displays.get(shown, []) if number != run.number]
            _put(self._displays, shown, [*others, run.number], _MOST_DISPLAYS)
        self._write(run.number, Said(kind, content))

    def _end(self, run: _OpenExecution, status: str) -> None:
        if not run.ended:
            run.ended, run.missed = True, False
            self._write(run.number, Ended(datetime.now(UTC), status))
            self._close_file()

    def _resume_execution(self, number: int, gap: Gap) -> None:
        path = file_of(self._folder, number)
        if not path.read_bytes().endswith(b"\n"):
            self._write(number, None)
        found = entry(path, heads=True)
        if found is not None and found.ended is None:
            self._runs[found.id] = _OpenExecution(number, missed=True)
            between = " and ".join(f"{moment.astimezone():%H:%M:%S}" for moment in (gap.since, gap.until))
            why = "no session manager was running"
            self._write(number, Note(f"Output between {between} was not seen: {why}."))

    def _write(self, number: int, line: JournalLine | None) -> None:
        """Add a line to an execution that is still stored; with None, end an incomplete line."""
        if number not in self._sizes:
            return
        data = (b"" if line is None else encode(line)) + b"\n"
        with suppress(OSError, SessionError):
            if self._file is None or self._written != number:
                self._close_file()
                self._file, self._written = self._open(number), number
            if number in self._torn:
                data = b"\n" + data
            self._torn.add(number)
            if self._file.write(data) == len(data):
                self._torn.discard(number)
        self._grow(number, len(data))
        self._enforce_limits(number)

    def _open(self, number: int) -> BinaryIO:
        path = file_of(self._folder, number)
        try:
            return path.open("ab", buffering=0)
        except FileNotFoundError:
            private_folder(self._folder)
            return path.open("ab", buffering=0)

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    # Size limits.

    def _grow(self, number: int, size: int) -> None:
        self._sizes[number] += size
        self._total += size

    def _enforce_limits(self, number: int) -> None:
        if self._sizes[number] > RUN_BYTES:
            self._shorten(number)
        while len(self._sizes) > 1 and (len(self._sizes) > MOST_RUNS or self._total > JOURNAL_BYTES):
            oldest = next(old for old in self._sizes if old != number)
            self._total -= self._sizes.pop(oldest)
            remove(file_of(self._folder, oldest))

    def _shorten(self, number: int) -> None:
        path, fold, marks = file_of(self._folder, number), Fold(), list[JournalLine]()
        self._close_file()
        size = RUN_BYTES // 2  # After a failure, try again once as much has been added.
        with suppress(OSError):
            for line in lines(path):
                if isinstance(line, Began | Ended):
                    marks.append(line)
                else:
                    fold.add(line)
            kept = [*marks[:1], *fold.kept(), *marks[1:]]
            write_private(path, b"".join(encode(line) + b"\n" for line in kept))
            size = path.stat().st_size
        self._grow(number, size - self._sizes[number])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _put(known: dict[str, Any], key: str, value: object, most: int) -> None:
    """Add an item, and remove the oldest of more than `most`."""
    known.pop(key, None)
    known[key] = value
    if len(known) > most:
        known.pop(next(iter(known)))
