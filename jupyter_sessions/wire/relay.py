"""The way from front ends to a session's kernel, at addresses that stay while kernels come and go.

Shell, iopub, stdin and heartbeat are passed on as they are, by libzmq in threads of their own; so
binary buffers pass, and nothing is measurable of it. On control a `shutdown_request` is answered
here and told to the owner: a notebook that closes must not end a session that it only visits
(jupyter_client sends that request before it asks anybody). All else passes there, too.

Source: "Messaging in Jupyter", wire protocol 5.4; ROUTER and DEALER as in ZeroMQ's guide, chapter 3.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import msgspec
import zmq
from jupyter_client.session import Session

from jupyter_sessions.wire.front import CHANNELS, OWNER_CONTROL

log = logging.getLogger("jupyter_sessions")

MOST_WAITING = 10_000
"""Messages on iopub kept for a front end that does not read; those beyond are lost to it."""
_LINGER_MS = 200
_RECONNECT_MS = 10
_RETURN_SECONDS = 0.3
"""Clients try every 0.1 s to connect again, unless told otherwise."""

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]
Told = Callable[[bool, bool], None]
"""Called, in a thread of the relay, with (by the owner, restart) of a shutdown request."""


class BackEnd(Protocol):
    """What a relay leads to."""

    def socket(self, context: Context, channel: str, identity: bytes) -> Socket:
        """A connected socket on which a channel's messages go in and out: XSUB for iopub, else DEALER.

        `identity` is the same for shell and stdin, so that input requests find who ran the code.
        """
        ...


class ZmqBackEnd(msgspec.Struct, frozen=True):
    """A kernel that listens at ipc sockets; it may end and another one listen there."""

    stem: str

    def socket(self, context: Context, channel: str, identity: bytes) -> Socket:
        """See `BackEnd.socket`."""
        made = context.socket(zmq.XSUB if channel == "iopub" else zmq.DEALER)
        made.linger = 0
        made.set_hwm(0)
        made.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        if channel != "iopub":
            made.identity = identity
        made.connect(f"ipc://{self.stem}-{CHANNELS[channel]}")
        return made


class Relay:
    """One session's relay, with a ZeroMQ context of its own, from `open` to `close`.

    `stem` is what the paths of its sockets begin with, `key` the kernel's.
    """

    def __init__(self, stem: str, key: bytes, back: BackEnd, on_shutdown: Told) -> None:
        self._stem = stem
        self._back = back
        self._on_shutdown = on_shutdown
        self._session = Session(key=key, username="jupyter_sessions")
        self._identity = secrets.token_bytes(8).replace(b"\0", b"\1")
        self._context: Context = zmq.Context()

    def open(self, *, again: bool = False) -> None:
        """Listen, or do so `again` where an earlier relay has gone that had clients.

        Those come back on one channel after the other; what they ask then waits until they can hear
        what comes of it. Errors: zmq.ZMQError.
        """
        for channel in ("shell", "iopub", "stdin", "hb"):
            sockets = self._bind(channel, CHANNELS[channel]), self._connect(channel)
            self._start(channel, _forward, *sockets, _RETURN_SECONDS if again and channel == "shell" else 0)
        fronts = [self._bind("control", port) for port in (CHANNELS["control"], OWNER_CONTROL)]
        self._start("control", self._filter, fronts, self._connect("control"))

    def close(self) -> None:
        """Let go of all clients; takes at most 0.3 s."""
        self._context.term()

    def _bind(self, channel: str, port: int) -> Socket:
        socket = self._context.socket(zmq.XPUB if channel == "iopub" else zmq.ROUTER)
        socket.linger = _LINGER_MS
        socket.set_hwm(MOST_WAITING if channel == "iopub" else 0)
        if channel != "iopub":
            socket.router_handover = True  # A front end that comes back may do so under its old name.
        socket.bind(f"ipc://{self._stem}-{port}")
        return socket

    def _connect(self, channel: str) -> Socket:
        return self._back.socket(self._context, channel, self._identity)

    def _start(self, channel: str, work: Callable[..., None], *sockets: Any) -> None:
        threading.Thread(target=work, args=sockets, name=f"relay-{channel}", daemon=True).start()

    # Control.

    def _filter(self, fronts: list[Socket], back: Socket) -> None:
        """Pass on control until the end; a frame that tells the front leads replies back to it."""
        poller = zmq.Poller()
        for socket in (*fronts, back):
            poller.register(socket, zmq.POLLIN)
        try:
            while True:
                for socket, _ in poller.poll():
                    frames = cast("list[bytes]", socket.recv_multipart())
                    if socket is back:
                        fronts[frames[0] == b"o"].send_multipart(frames[1:])
                    elif not self._answered(frames, socket, socket is fronts[1]):
                        back.send_multipart([b"o" if socket is fronts[1] else b"a", *frames])
        except zmq.ContextTerminated:
            pass
        finally:
            for socket in (*fronts, back):
                socket.close()

    def _answered(self, frames: list[bytes], front: Socket, owner: bool) -> bool:
        """Whether this was a message to be answered, or dropped, here."""
        try:
            identities, parts = self._session.feed_identities(frames)
            if msgspec.json.decode(cast("bytes", parts[1]))["msg_type"] != "shutdown_request":
                return False
            message = self._session.deserialize(parts)
        except (ValueError, TypeError, KeyError, IndexError):
            log.warning("a message on a session's control channel is malformed or not signed by its key")
            return True
        restart = bool(message["content"].get("restart"))
        reply = {"status": "ok", "restart": restart}
        self._session.send(front, "shutdown_reply", reply, parent=message, ident=identities)
        self._on_shutdown(owner, restart)
        return True


def _forward(front: Socket, back: Socket, pause: float) -> None:
    time.sleep(pause)
    try:
        zmq.proxy(front, back)
    except zmq.ContextTerminated:
        pass
    finally:
        front.close()
        back.close()
