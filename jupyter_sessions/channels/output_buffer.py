"""A bounded buffer for the output of a run that no client has read yet."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from jupyter_sessions.amounts import human_size
from jupyter_sessions.channels.sockets import Message

UNREAD_BYTES = 32 * 1024**2


class OutputBuffer:
    """The messages of one run in order, then None; beyond about `most` bytes, only the newest.

    A note takes the place of dropped output, which the session's journal still has.
    """

    def __init__(self, most: int = UNREAD_BYTES) -> None:
        self._most = most
        self._messages: deque[tuple[Message | None, int]] = deque()
        self._size = self._lost = 0
        self._readers = 0
        self._read = time.monotonic()
        self._there = asyncio.Event()

    def put_nowait(self, message: Message | None) -> None:
        """Add a message, or None for the end."""
        size = 0 if message is None else _size(message["content"])
        self._messages.append((message, size))
        self._size += size
        while size and self._size > self._most and len(self._messages) > 1:
            lost = self._messages.popleft()[1]
            self._size -= lost
            self._lost += lost
        self._there.set()

    async def get(self) -> Message | None:
        """Wait for the next message, and return it."""
        self._readers += 1
        try:
            while not self._messages:
                self._there.clear()
                await self._there.wait()
        finally:
            self._readers -= 1
            self._read = time.monotonic()
        if self._lost:
            text = f"[{human_size(self._lost)} of output were left out here.]\n"
            self._lost = 0
            return {"header": {"msg_type": "stream"}, "content": {"name": "stderr", "text": text}}
        message, size = self._messages.popleft()
        self._size -= size
        return message

    def empty(self) -> bool:
        """Return whether all messages have been read."""
        return not self._messages

    def idle_seconds(self) -> float:
        """Return for how many seconds no client has read."""
        return 0.0 if self._readers else time.monotonic() - self._read


def _size(content: dict[str, Any]) -> int:
    """Estimate the size of a message's content in bytes."""
    parts = [content.get("text"), *content.get("data", {}).values(), *content.get("traceback", ())]
    return 100 + sum(len(part) for part in parts if isinstance(part, str))
