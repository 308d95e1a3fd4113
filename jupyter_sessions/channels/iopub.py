"""Read a kernel's iopub messages in batches, so that connected notebooks are not slowed.

Source: "Messaging in Jupyter", wire protocol 5.4; ZeroMQ's ZMQ_FD, which reports changes only.
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
    """Reads a subscribed socket, which it closes, and passes each message to `take`.

    While nobody is `waiting`, messages are left to accumulate for GATHER_SECONDS and are then read together: waking
    up for each one would take CPU time from the kernel and its front end.
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
        """Switch to another socket on which the same messages arrive, without losing or repeating any.

        The new socket stays its owner's.
        """
        if self._closed or socket in self._sockets():
            return
        self._deaf()
        while _receive(socket):
            continue  # Old, or about to arrive on the other socket as well.
        self._turn = _Turn(socket)
        self.read()

    def read(self) -> None:
        """Read what has arrived so far. This happens by itself, but a caller that begins to wait reads sooner."""
        self._next.cancel()
        if self._closed:
            return
        again = self._read_some(_AT_ONCE)
        if again:
            self._next = self._loop.call_soon(self.read)
        else:
            # Only now do the descriptors signal the next message.
            for socket in self._sockets():
                self._loop.add_reader(socket.FD, self._come)

    def close(self) -> None:
        """Read the kernel's last messages, and let go of the socket."""
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
        """Read at most `most` messages, and return whether there may be more."""
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
        """Read the other socket, and switch to it once it has caught up with this one."""
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
        except (
            Exception
        ):  # Code in a session can make its kernel send anything; later messages must still be read.
            log.exception("A kernel's message of type %s cannot be handled.", message["msg_type"])


class _Turn:
    """The switch to another socket: what was `taken` meanwhile, in order, and what arrived on the other socket.

    Both have the same messages in the same order, but neither begins or arrives with the other.
    """

    def __init__(self, socket: ZmqSocket) -> None:
        self.socket = socket
        self.taken: dict[str, None] = {}
        self._held: list[Message] = []

    def look(self) -> bool:
        """Read the other socket, and return whether it has a message that was already taken.

        From then on, all later messages arrive there as well.
        """
        while frames := _receive(self.socket):
            if message := deserialize(frames):
                self._held.append(message)
        return any(message["msg_id"] in self.taken for message in self._held)

    def new(self) -> list[Message]:
        """Return the messages of the other socket that follow the last one taken.

        Earlier ones may be from before the switch began.
        """
        known = [at for at, message in enumerate(self._held) if message["msg_id"] in self.taken]
        return self._held[known[-1] + 1 :]

    def early(self) -> set[str]:
        """Return the ids of messages that were taken and are still to arrive on the other socket."""
        came = {message["msg_id"] for message in self._held}
        ids = [*self.taken]
        last = max(at for at, one in enumerate(ids) if one in came)
        return set(ids[last + 1 :])


def _receive(socket: ZmqSocket) -> list[bytes]:
    """Return the frames of the next message, or no frames if there is none."""
    try:
        return socket.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        return []
