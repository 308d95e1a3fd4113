"""What a kernel says to all, read in gatherings: a notebook beside which it is read must not feel it.

Source: "Messaging in Jupyter", wire protocol 5.4; ZeroMQ's ZMQ_FD, which tells of changes only.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import zmq

from jupyter_sessions.channels.messages import deserialize
from jupyter_sessions.channels.sockets import Message, ZmqSocket

log = logging.getLogger("jupyter_sessions")

GATHER_SECONDS = 0.05
_AT_ONCE = 200
_LAST = 5000


class Iopub:
    """Reads a subscribed socket, which it closes: each message goes to `take`.

    While nobody is `waiting`, they are left to gather for GATHER_SECONDS and then read all together:
    waking up for each one would take the CPU from the kernel and its front end.
    """

    def __init__(
        self, socket: ZmqSocket, take: Callable[[Message], None], waiting: Callable[[], bool]
    ) -> None:
        self._socket = socket
        self._take = take
        self._waiting = waiting
        self._loop = asyncio.get_running_loop()
        self._turn: _Turn | None = None
        self._early: set[str] = set()
        self._own = True
        self._closed = False
        self._next: asyncio.Handle = self._loop.call_soon(self.read)

    def turn(self, socket: ZmqSocket) -> None:
        """Go over to a socket on which the same messages come, which stays its owner's; none is lost or taken twice."""
        if self._closed or socket in self._sockets():
            return
        self._deaf()
        while _receive(socket):
            continue  # Old, or about to come on the other one.
        self._turn = _Turn(socket)
        self.read()

    def read(self) -> None:
        """Read what has come so far; done by itself, but sooner for who begins to wait."""
        self._next.cancel()
        if self._closed:
            return
        again = self._read_some(_AT_ONCE)
        if again:
            self._next = self._loop.call_soon(self.read)
        else:
            # Only now will the descriptors tell of the next one.
            for socket in self._sockets():
                self._loop.add_reader(socket.FD, self._come)

    def close(self) -> None:
        """Read a kernel's last words, and let go of the socket."""
        self._next.cancel()
        if not self._closed:
            self._deaf()
            if self._read_some(_LAST):
                self._read_some(_LAST)
            self._closed = True
            if self._own:
                self._socket.close()

    def _sockets(self) -> list[ZmqSocket]:
        return [self._socket, *([self._turn.socket] if self._turn else [])]

    def _deaf(self) -> None:
        for socket in self._sockets():
            self._loop.remove_reader(socket.FD)

    def _come(self) -> None:
        self._deaf()
        if self._waiting():
            self.read()
        else:
            self._next = self._loop.call_later(GATHER_SECONDS, self.read)

    def _read_some(self, most: int) -> bool:
        """Read so many messages at most; whether there may be more."""
        for _ in range(most):
            frames = _receive(self._socket)
            if not frames:
                return self._turn is not None and self._go_over(self._turn)
            message = deserialize(frames)
            if message is None or message["msg_id"] in self._early:
                continue
            if self._turn is not None:
                self._turn.taken[message["msg_id"]] = None
            self._hand_on(message)
        return True

    def _go_over(self, turn: _Turn) -> bool:
        """Read the other socket; once it has what this one had, it has all that follows."""
        if not turn.look():
            return False
        self._loop.remove_reader(self._socket.FD)
        if self._own:
            self._socket.close()
        self._socket, self._own, self._turn = turn.socket, False, None
        self._early = turn.early()
        for message in turn.new():
            self._hand_on(message)
        return True

    def _hand_on(self, message: Message) -> None:
        try:
            self._take(message)
        except Exception:  # Whatever code in a session makes its kernel say: what comes next is heard, too.
            log.exception("a kernel's message of type %s", message["msg_type"])


class _Turn:
    """On the way to another socket: what was `taken` meanwhile, in order, and what came there.

    Both have the same messages in the same order, but neither begins or arrives with the other.
    """

    def __init__(self, socket: ZmqSocket) -> None:
        self.socket = socket
        self.taken: dict[str, None] = {}
        self._held: list[Message] = []

    def look(self) -> bool:
        """Read the other socket; whether anything came there that was taken, so that all that follows comes, too."""
        while frames := _receive(self.socket):
            if message := deserialize(frames):
                self._held.append(message)
        return any(message["msg_id"] in self.taken for message in self._held)

    def new(self) -> list[Message]:
        """What came there and was not taken; what came before what was may have been before the turn began."""
        known = [at for at, message in enumerate(self._held) if message["msg_id"] in self.taken]
        return self._held[known[-1] + 1 :]

    def early(self) -> set[str]:
        """What was taken and is still to come there."""
        came = {message["msg_id"] for message in self._held}
        ids = [*self.taken]
        last = max(at for at, one in enumerate(ids) if one in came)
        return set(ids[last + 1 :])


def _receive(socket: ZmqSocket) -> list[bytes]:
    """The next message's frames; none if there is none."""
    try:
        return socket.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return []
