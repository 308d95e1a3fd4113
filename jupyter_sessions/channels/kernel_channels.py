"""A client's channels to one kernel, whatever carries them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

Parts = list[bytes]
"""A message as it travels: header, parent header, metadata and content as JSON, then binary buffers."""
CONNECT_SECONDS = 30.0
"""How long a kernel may take to let a client in, and a lost connection to come back."""


class ChannelsListener(Protocol):
    """Who uses the channels; called in the loop that they were opened in."""

    def take(self, channel: str, parts: Parts) -> None:
        """Receive a message from shell, iopub, stdin or control."""

    def reconnected(self, *, replaced: bool) -> None:
        """The connection was cut and is back: messages may be lost; with `replaced`, the kernel is another one."""

    def gone(self, why: str) -> None:
        """The kernel cannot be reached any more; nothing else follows."""


class KernelChannels(ABC):
    """Shell, iopub, stdin and control of a kernel, from `open` to `close`.

    A connection that is cut is made again for CONNECT_SECONDS; what is sent meanwhile waits.
    """

    @abstractmethod
    async def open(self) -> None:
        """Connect. Errors: BackendUnavailable, and Unauthorized of a Jupyter server."""

    @abstractmethod
    def send(self, channel: str, parts: Parts) -> None:
        """Send a message. Errors: InvalidRequest for one that is too large."""

    @abstractmethod
    async def interrupt(self) -> None:
        """Interrupt what the kernel computes."""

    @abstractmethod
    async def restart(self) -> None:
        """Start the kernel again. Errors: NotSupported where only its backend can."""

    @abstractmethod
    async def close(self) -> None:
        """Disconnect; the kernel stays."""
