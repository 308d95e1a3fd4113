"""ZeroMQ sockets as a relay has them, which loses no message for want of room.

Source: ROUTER and DEALER as in ZeroMQ's guide, chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import zmq

MOST_WAITING = 10_000
"""Messages on iopub kept for a front end that does not read; those beyond are lost to it."""
LINGER_MS = 200

ZmqSocket = zmq.Socket[bytes]
ZmqSockets = Mapping[str, ZmqSocket]
ZmqContext = zmq.Context[zmq.Socket[bytes]]
Message = dict[str, Any]
"""A kernel's message, as jupyter_client's Session has it."""


def listen(context: ZmqContext, channel: str, address: str) -> ZmqSocket:
    """A socket to which front ends, or relays, connect. Errors: zmq.ZMQError."""
    socket = context.socket(zmq.XPUB if channel == "iopub" else zmq.ROUTER)
    socket.linger = LINGER_MS
    socket.set_hwm(MOST_WAITING if channel == "iopub" else 0)
    if channel != "iopub":
        socket.router_handover = True  # A front end that comes back may do so under its old name.
    try:
        socket.bind(address)
    except zmq.ZMQError:
        socket.close()
        raise
    return socket


def queue(context: ZmqContext, kind: int) -> ZmqSocket:
    """A socket between threads. Errors: zmq.ZMQError."""
    made = context.socket(kind)
    made.linger = 0
    made.set_hwm(0)
    return made


def each(make: Callable[[str], ZmqSocket], names: Iterable[str]) -> dict[str, ZmqSocket]:
    """A socket for each name, or for none. Errors: zmq.ZMQError."""
    made = dict[str, ZmqSocket]()
    try:
        for name in names:
            made[name] = make(name)
    except zmq.ZMQError:
        close(made.values())
        raise
    return made


def read_all(socket: ZmqSocket) -> Iterator[list[bytes]]:
    """What has come; nothing if it is closed."""
    with suppress(zmq.ZMQError):
        while True:
            yield socket.recv_multipart(zmq.NOBLOCK)


def close(sockets: Iterable[ZmqSocket]) -> None:
    """Close all of them."""
    for socket in sockets:
        socket.close()
