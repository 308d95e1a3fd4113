"""What a kernel was asked to run and has not answered: whoever asked is told when it never will.

Source: "Messaging in Jupyter", wire protocol 5.4; a DEALER's messages begin with who sent them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from jupyter_sessions.channels.placeholder_kernel import Queued
from jupyter_sessions.wire import untrusted

_DELIMITER = b"<IDS|MSG>"


class UnansweredRequest(msgspec.Struct, frozen=True):
    """A request to run code: what the relay that passed it on was called, who sent it, and its header.

    `count` is the kernel's number for it once it runs.
    """

    relay: bytes
    sender: list[bytes]
    header: dict[str, Any]
    count: int | None = None

    @property
    def id(self) -> str:
        """The id of its message."""
        return str(self.header["msg_id"])

    def queued(self, relay: bytes) -> Queued:
        """The same as a message that waits, of who reaches its sender through that relay."""
        content = {"execution_count": self.count}
        message = {"header": self.header, "parent_header": {}, "metadata": {}, "content": content}
        return Queued("shell", [], [relay, *self.sender], message)


class Unanswered:
    """Takes in what passes on shell, both ways, of a relay that the kernel's end knows as `relay`.

    `earlier` is what other relays had passed on to the same kernel.
    """

    def __init__(self, relay: bytes, earlier: Iterable[UnansweredRequest] = ()) -> None:
        self._relay = relay
        self._asked = {one.id: one for one in earlier}

    def take(self, frames: list[bytes]) -> None:
        """Note a request to run code, or that one was answered."""
        try:
            at = frames.index(_DELIMITER)
            header, parent = (untrusted.decode(part) for part in frames[at + 2 : at + 4])
            if header["msg_type"] == "execute_request":
                self._asked[header["msg_id"]] = UnansweredRequest(self._relay, frames[:at], header)
            elif header["msg_type"] == "execute_reply":
                self._asked.pop(parent["msg_id"], None)
        except (ValueError, KeyError, TypeError):
            return  # Nothing that a kernel would answer.

    def clear(self) -> None:
        """Nobody waits any more."""
        self._asked.clear()

    def all(self, counts: Mapping[str, int]) -> list[UnansweredRequest]:
        """In the order they were asked; `counts` are the kernel's numbers for them, where known."""
        return [
            msgspec.structs.replace(one, count=counts.get(uid, one.count)) for uid, one in self._asked.items()
        ]
