"""What a relay connects to: the sockets of a kernel, or of the placeholder that speaks in its place."""

from __future__ import annotations

from typing import Protocol

import msgspec
import zmq

from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.channels.sockets import ZmqContext, ZmqSocket, listen

RECONNECT_MS = 10


class BackEnd(Protocol):
    """What a relay connects front ends to."""

    def socket(self, context: ZmqContext, channel: str, identity: bytes) -> ZmqSocket:
        """Return a connected socket for a channel: XSUB for iopub, otherwise DEALER.

        `identity` is the same for shell and stdin, so that input requests reach the client that ran the code.
        """
        ...

    def place(self, context: ZmqContext, channel: str) -> ZmqSocket:
        """Return a socket in place of a kernel that has ended, to which the relay's sockets connect by themselves."""
        ...


class ZmqBackEnd(msgspec.Struct, frozen=True):
    """A kernel at ipc sockets; it may end, and another kernel listen there."""

    stem: str

    def socket(self, context: ZmqContext, channel: str, identity: bytes) -> ZmqSocket:
        """See `BackEnd.socket`."""
        made = context.socket(zmq.XSUB if channel == "iopub" else zmq.DEALER)
        made.linger = 0
        made.set_hwm(0)
        made.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        if channel != "iopub":
            made.identity = identity
        made.connect(f"ipc://{self.stem}-{CHANNELS[channel]}")
        return made

    def place(self, context: ZmqContext, channel: str) -> ZmqSocket:
        """See `BackEnd.place`."""
        return listen(context, channel, f"ipc://{self.stem}-{CHANNELS[channel]}")
