"""Server-sent events, both ends: `frame` writes one, `parse` reads a stream of lines.

As Backend.AI speaks them: an `event:` and one `data:` line of JSON each, and `server_close` as the
name of the last event.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

KEEP_ALIVE = b": keep-alive\n\n"
CLOSE = "server_close"


class ServerEvent(msgspec.Struct, frozen=True):
    """One event: its name, and its data as JSON text."""

    name: str
    data: str

    def json(self) -> Any:
        """The decoded data. Errors: msgspec.DecodeError."""
        return msgspec.json.decode(self.data)


def frame(name: str, data: object) -> bytes:
    """One event as bytes on the wire."""
    return b"event: %s\ndata: %s\n\n" % (name.encode(), msgspec.json.encode(data))


async def parse(lines: AsyncIterator[str]) -> AsyncIterator[ServerEvent]:
    """Events from lines without their ends; stops after `server_close`."""
    name, data = "message", list[str]()
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)
        elif not line and data:
            yield ServerEvent(name, "\n".join(data))
            if name == CLOSE:
                return
            name, data = "message", []
