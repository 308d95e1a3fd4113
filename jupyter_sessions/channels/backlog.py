"""Messages that wait for a session's kernel, kept in a file so that they outlive the process that holds them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from jupyter_sessions.wire.files import read, remove

log = logging.getLogger("jupyter_sessions")

Waiting = tuple[str, list[bytes]]
"""A message's channel and its frames."""
_decoder = msgspec.json.Decoder(Waiting)


class Backlog:
    """Waiting messages in the order they arrived, a line of JSON for each.

    If the disk is full, messages are not kept, and nothing else fails. Without a path nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def add(self, channel: str, frames: list[bytes]) -> None:
        """Append a message."""
        if self._path is None:
            return
        try:
            with open(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as file:
                file.write(msgspec.json.encode((channel, frames)) + b"\n")
        except OSError:
            log.exception("Messages that wait for a kernel cannot be saved.")

    def read(self) -> Iterator[Waiting]:
        """Yield all messages; damaged lines are left out."""
        try:
            lines = read(self._path).splitlines() if self._path else []
        except OSError:
            return
        for line in lines:
            try:
                yield _decoder.decode(line)
            except (msgspec.MsgspecError, ValueError, RecursionError):
                continue

    def clear(self) -> None:
        """Remove all messages."""
        if self._path is not None:
            remove(self._path)
