"""Connect the ports that a front end chose to a session's relay; each side signs with its own key."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress

import zmq

from jupyter_sessions.channels.relay_addresses import CHANNELS, address
from jupyter_sessions.channels.sockets import ZmqContext, ZmqSocket
from jupyter_sessions.model import KernelConnection
from jupyter_sessions.wire import untrusted

_DELIMITER = b"<IDS|MSG>"
_SIGNED_FRAMES = 4
_LINGER_MS = 500
_UNSIGNED = ("iopub", "hb")

Sign = Callable[[bytes, bytes, list[bytes]], list[bytes] | None]


class ZmqBridge:
    """Forwards messages between two connections in a thread, from `open` on.

    `on_reply` is called in that thread after the reply to a shutdown request, with its `restart`.
    """

    def __init__(
        self, front: KernelConnection, back: KernelConnection, on_reply: Callable[[bool], None]
    ) -> None:
        self._front = front
        self._back = back
        self._on_reply = on_reply
        self._context: ZmqContext = zmq.Context()
        self._identity = secrets.token_bytes(8).replace(b"\0", b"\1")

    def open(self) -> None:
        """Listen on the front end's ports. Errors: zmq.ZMQError, for example if another program listens there."""
        pairs = [(channel, self._bind(channel), self._connect(channel)) for channel in CHANNELS]
        threading.Thread(target=self._pass_on, args=(pairs,), name="splice", daemon=True).start()

    def close(self) -> None:
        """Close both connections after all messages have been sent, or after half a second."""
        self._context.term()

    def _bind(self, channel: str) -> ZmqSocket:
        socket = self._context.socket(zmq.XPUB if channel == "iopub" else zmq.ROUTER)
        socket.linger = _LINGER_MS
        socket.set_hwm(0)
        if channel != "iopub":
            socket.router_handover = True
        socket.bind(address(self._front, channel))
        return socket

    def _connect(self, channel: str) -> ZmqSocket:
        socket = self._context.socket(zmq.XSUB if channel == "iopub" else zmq.DEALER)
        socket.linger = 0
        socket.set_hwm(0)
        if channel != "iopub":
            socket.identity = (
                self._identity
            )  # The same for shell and stdin, so that input requests come back.
        socket.connect(address(self._back, channel))
        return socket

    def _pass_on(self, pairs: list[tuple[str, ZmqSocket, ZmqSocket]]) -> None:
        ours, theirs = self._front.key.encode(), self._back.key.encode()
        ways = {front: (channel, back, ours, theirs) for channel, front, back in pairs}
        ways |= {back: (channel, front, theirs, ours) for channel, front, back in pairs}
        poller = zmq.Poller()
        for socket in ways:
            poller.register(socket, zmq.POLLIN)
        try:
            while True:
                for socket, _ in poller.poll():
                    self._pass(socket, *ways[socket])
        except zmq.ContextTerminated:
            pass
        finally:
            for socket in ways:
                socket.close()

    def _pass(self, source: ZmqSocket, channel: str, target: ZmqSocket, old: bytes, new: bytes) -> None:
        frames = source.recv_multipart()
        signed = sign_anew(frames, old, new) if _DELIMITER in frames else frames
        if signed is None or (signed is frames and channel not in _UNSIGNED):
            return
        target.send_multipart(signed)
        if channel == "control" and target.socket_type == zmq.ROUTER:
            self._look_at(frames[frames.index(_DELIMITER) + 2 :])

    def _look_at(self, parts: list[bytes]) -> None:
        with suppress(ValueError, TypeError, KeyError, AttributeError):  # No reply of a kernel.
            if untrusted.decode(parts[0])["msg_type"] == "shutdown_reply":
                self._on_reply(bool(untrusted.decode(parts[3]).get("restart")))


def sign_anew(frames: list[bytes], old: bytes, new: bytes) -> list[bytes] | None:
    """Sign a message with another key. Return None if the old key did not sign it."""
    at = frames.index(_DELIMITER) + 1
    parts = frames[at + 1 : at + 1 + _SIGNED_FRAMES]
    if len(parts) < _SIGNED_FRAMES or not hmac.compare_digest(frames[at], signature(old, parts)):
        return None
    return [*frames[:at], signature(new, parts), *frames[at + 1 :]]


def signature(key: bytes, parts: list[bytes]) -> bytes:
    """Return the signature of a message's four parts, empty without a key. Source: "Messaging in Jupyter"."""
    return hmac.digest(key, b"".join(parts), "sha256").hex().encode() if key else b""
