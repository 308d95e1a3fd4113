"""Hand over a connection to another process of the same user, as a descriptor on a unix socket.

Each connection to the unix socket carries one descriptor. Source: unix(7), SCM_RIGHTS.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket

HANDOVER = "handover"
"""The URL scheme of unix sockets that hand over connections."""


def send_connection(channel: socket.socket, connection: socket.socket) -> None:
    """Send a connection to the process at the other end of a unix socket."""
    socket.send_fds(channel, [b"\n"], [connection.fileno()])


async def receive_connection(path: str) -> socket.socket:
    """Return the connection that the process listening on a unix socket hands over.

    Errors: ConnectionRefusedError if it hands over none; OSError if nobody listens there.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as channel:
        channel.setblocking(False)
        await loop.sock_connect(channel, path)
        await _readable(channel)
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    if not descriptors:
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED), path)
    connection = socket.socket(fileno=descriptors[0])
    connection.setblocking(False)
    return connection


async def _readable(channel: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(channel.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(channel.fileno())
