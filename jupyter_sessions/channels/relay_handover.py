"""The first seconds of a relay that replaces another, while the kernel still replies to the earlier relay.

A kernel's ROUTER sends replies and input requests to the identity that a request came from. A relay that connects
under that identity receives them, if the kernel allows it (ipykernel does, by ROUTER_HANDOVER). Messages that the
kernel sent while no relay was connected are lost; whoever knows their outcome must send them again. Requests of the
new relay's own front ends use an identity of its own: a kernel that allows no handover would ignore a peer that it
believes to be still connected.

Source: libzmq 4.3, `router_t::identify_peer`; "Messaging in Jupyter", wire protocol 5.4.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import zmq
from jupyter_client.session import Session

from jupyter_sessions.channels.sockets import Message, ZmqContext, ZmqSocket, close, each, queue
from jupyter_sessions.channels.unanswered import UnansweredRequest

CHANNELS = ("shell", "stdin")
_SAID = "inproc://said"
_AGAIN_MS = 50
_RETURN_SECONDS = 10.0
"""How long a reply is kept for a front end that has not come back."""

Heirs = Callable[[str], list[ZmqSocket]]
"""Returns the sockets that take the place of earlier relays on a channel."""


class RelayHandover:
    """Lets front ends of earlier relays hear the kernel, and others answer in its place, until settled.

    `pass_on` is called in the thread of each of CHANNELS, everything else in one thread. Errors of the constructor:
    zmq.ZMQError.
    """

    def __init__(self, context: ZmqContext, heirs: Heirs) -> None:
        self._heirs = {
            channel: heirs(channel) for channel in CHANNELS
        }  # First of all: a reply may arrive at any time.
        self._settled = False
        self._told = each(lambda channel: queue(context, zmq.PULL), CHANNELS)
        self._tell = each(lambda channel: queue(context, zmq.PUSH), CHANNELS)
        for channel in CHANNELS:
            self._told[channel].bind(f"inproc://orders-{channel}")
            self._tell[channel].connect(f"inproc://orders-{channel}")
        self._said = queue(context, zmq.PUB)
        self._said.bind(_SAID)

    def join(self, iopub: ZmqSocket) -> None:
        """Let the subscribers of the kernel receive what is published here."""
        iopub.connect(_SAID)

    def answer(
        self, session: Session, one: UnansweredRequest, content: Message | None, *, idle: bool
    ) -> None:
        """Reply in the kernel's place; with `idle`, also publish that the execution has ended, and its error.

        Without `content` only the end is published.
        """
        if self._settled:
            return
        request = {"header": one.header}
        if content and idle and content["status"] == "error":
            error = {key: content[key] for key in ("ename", "evalue", "traceback")}
            session.send(self._said, "error", error, parent=request, ident=b"error")
        if content:
            session.send(self._tell["shell"], "execute_reply", content, parent=request, ident=one.sender)
        if idle:
            state = {"execution_state": "idle"}
            session.send(self._said, "status", state, parent=request, ident=b"status")

    def settle(self) -> None:
        """Declare that nothing more follows for earlier relays."""
        if not self._settled:
            self._settled = True
            for socket in self._tell.values():
                socket.send(b"")

    def close(self) -> None:
        """Close the sockets that no other thread uses."""
        close((*self._tell.values(), self._said))

    def pass_on(self, channel: str, front: ZmqSocket, back: ZmqSocket, copies: ZmqSocket | None) -> None:
        """Pass on messages like a proxy, also for the front ends of earlier relays, until all is settled.

        Replies wait for front ends that have not come back. Errors: zmq.ContextTerminated.
        """
        told, heirs = self._told[channel], self._heirs[channel]
        try:
            front.router_mandatory = True  # Otherwise messages to peers that are not connected yet are lost.
            _pass_on(front, [back, *heirs], told, copies)
            front.router_mandatory = False
        finally:
            close((told, *heirs))


def _pass_on(front: ZmqSocket, backs: list[ZmqSocket], told: ZmqSocket, copies: ZmqSocket | None) -> None:
    poller = zmq.Poller()
    for socket in (front, told, *backs):
        poller.register(socket, zmq.POLLIN)
    waiting = list[list[bytes]]()
    until: float | None = None
    while until is None or (waiting and time.monotonic() < until):
        for socket, _ in poller.poll(_AGAIN_MS if waiting else None):
            frames: list[bytes] = socket.recv_multipart()
            if frames == [b""]:
                until = time.monotonic() + _RETURN_SECONDS
                continue
            if socket is front:
                backs[0].send_multipart(frames)
            else:
                waiting.append(frames)
            if copies is not None:
                copies.send_multipart(frames)
        waiting = [frames for frames in waiting if not _sent(front, frames)]


def _sent(front: ZmqSocket, frames: list[bytes]) -> bool:
    try:
        front.send_multipart(frames)
    except zmq.ContextTerminated:
        raise
    except zmq.ZMQError:  # No peer of that identity is connected.
        return False
    return True
