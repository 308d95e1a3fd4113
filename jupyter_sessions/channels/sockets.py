"""ZeroMQ sockets for relays, which lose no messages for lack of buffer space.

Source: ROUTER and DEALER as in ZeroMQ's guide, chapter 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import zmq

MOST_WAITING = 10_000
"""The most iopub messages kept for a front end that does not read; it loses further ones."""
LINGER_MS = 200

ZmqSocket = zmq.Socket[bytes]
ZmqSockets = Mapping[str, ZmqSocket]
ZmqContext = zmq.Context[zmq.Socket[bytes]]
Message = dict[str, Any]
"""A kernel's message, in the form of jupyter_client's Session."""


def listen(context: ZmqContext, channel: str, address: str) -> ZmqSocket:
    """Return a socket to which front ends or relays connect. Errors: zmq.ZMQError."""
    socket = context.socket(zmq.XPUB if channel == "iopub" else zmq.ROUTER)
    socket.linger = LINGER_MS
    socket.set_hwm(MOST_WAITING if channel == "iopub" else 0)
    if channel != "iopub":
        socket.router_handover = True  # A front end may come back under its old identity.
    try:
        socket.bind(address)
    except zmq.ZMQError:
        socket.close()
        raise
    return socket


def queue(context: ZmqContext, kind: int) -> ZmqSocket:
    """Return a socket that connects threads. Errors: zmq.ZMQError."""
    made = context.socket(kind)
    made.linger = 0
    made.set_hwm(0)
    return made


def each(make: Callable[[str], ZmqSocket], names: Iterable[str]) -> dict[str, ZmqSocket]:
    """Create a socket for each name, or none at all. Errors: zmq.ZMQError."""
    made = dict[str, ZmqSocket]()
    try:
        for name in names:
            made[name] = make(name)
    except zmq.ZMQError:
        close(made.values())
        raise
    return made


def read_all(socket: ZmqSocket) -> Iterator[list[bytes]]:
    """Yield the messages that have arrived; none if the socket is closed."""
    with suppress(zmq.ZMQError):
        while True:
            yield socket.recv_multipart(zmq.NOBLOCK)


def close(sockets: Iterable[ZmqSocket]) -> None:
    """Close all sockets."""
    for socket in sockets:
        socket.close()
