"""The requests that a kernel has not answered, so that their senders can be told if it never will.

Source: "Messaging in Jupyter", wire protocol 5.4; a DEALER's messages begin with their sender.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from jupyter_sessions.channels.placeholder_kernel import Queued
from jupyter_sessions.wire import untrusted

_DELIMITER = b"<IDS|MSG>"


class UnansweredRequest(msgspec.Struct, frozen=True):
    """A request to run code: the identity of the relay that passed it on, its sender, and its header.

    `count` is the kernel's number for the execution once it runs.
    """

    relay: bytes
    sender: list[bytes]
    header: dict[str, Any]
    count: int | None = None

    @property
    def id(self) -> str:
        """Return the id of the message."""
        return str(self.header["msg_id"])

    def queued(self, relay: bytes) -> Queued:
        """Return the request as a queued message whose sender is reached through the given relay."""
        content = {"execution_count": self.count}
        message = {"header": self.header, "parent_header": {}, "metadata": {}, "content": content}
        return Queued("shell", [], [relay, *self.sender], message)


class Unanswered:
    """Tracks the shell messages, both ways, of a relay whose identity at the kernel is `relay`.

    `earlier` holds requests that other relays had passed on to the same kernel.
    """

    def __init__(self, relay: bytes, earlier: Iterable[UnansweredRequest] = ()) -> None:
        self._relay = relay
        self._asked = {one.id: one for one in earlier}

    def take(self, frames: list[bytes]) -> None:
        """Record a request to run code, or remove one that was answered."""
        try:
            at = frames.index(_DELIMITER)
            header, parent = (untrusted.decode(part) for part in frames[at + 2 : at + 4])
            if header["msg_type"] == "execute_request":
                self._asked[header["msg_id"]] = UnansweredRequest(self._relay, frames[:at], header)
            elif header["msg_type"] == "execute_reply":
                self._asked.pop(parent["msg_id"], None)
        except (ValueError, KeyError, TypeError):
            return  # A kernel would not answer this.

    def clear(self) -> None:
        """Drop all requests."""
        self._asked.clear()

    def all(self, counts: Mapping[str, int]) -> list[UnansweredRequest]:
        """Return the requests in the order they arrived; `counts` are the kernel's numbers for them, where known."""
        return [
            msgspec.structs.replace(one, count=counts.get(uid, one.count)) for uid, one in self._asked.items()
        ]
