"""Restore the envelopes of replies, for kernels that leave them out.

A request arrives with the identities of the sockets that it passed, and a reply has to repeat them to find its way
back. Some kernels (Deno 2.9) send each reply to the connection that its request came by and repeat nothing, which
works only for a single front end that is connected directly. Here requests go on without identities, and a reply
gets the identities of the request that it names as its parent.

Source: "Messaging in Jupyter", The Wire Protocol; ZeroMQ's guide, chapter 3, "The Extended Reply Envelope".
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict

import msgspec
import zmq

from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.channels.sockets import ZmqContext, ZmqSocket, close, each, listen

log = logging.getLogger("jupyter_sessions")
CHANNELS_WITH_REPLIES = ("stdin", "control", "shell")
_DELIMITER = b"<IDS|MSG>"
_HEADER, _PARENT = 2, 3
_MOST = 10_000
_LINGER_MS = 50


class _Header(msgspec.Struct):
    msg_id: str = ""


class Envelopes:
    """Passes messages between front ends at `front` and the kernel at `back`, until `close`.

    Both are prefixes of the paths of ipc sockets. Errors: zmq.ZMQError.
    """

    def __init__(self, front: str, back: str) -> None:
        self._context: ZmqContext = zmq.Context()
        self._envelopes: OrderedDict[str, list[bytes]] = OrderedDict()
        try:
            backs = each(lambda channel: self._connect(f"{back}-{CHANNELS[channel]}"), CHANNELS_WITH_REPLIES)
            fronts = each(lambda channel: self._listen(channel, front), CHANNELS_WITH_REPLIES)
        except zmq.ZMQError:
            self._context.destroy(0)
            raise
        threading.Thread(target=self._run, args=(fronts, backs), name="envelopes", daemon=True).start()

    def close(self) -> None:
        """Close both ends."""
        self._context.term()

    def _connect(self, path: str) -> ZmqSocket:
        made = self._context.socket(zmq.DEALER)
        made.linger = 0
        made.set_hwm(0)
        made.connect(f"ipc://{path}")
        return made

    def _listen(self, channel: str, front: str) -> ZmqSocket:
        made = listen(self._context, channel, f"ipc://{front}-{CHANNELS[channel]}")
        made.linger = _LINGER_MS
        return made

    def _run(self, fronts: dict[str, ZmqSocket], backs: dict[str, ZmqSocket]) -> None:
        ways = {fronts[name]: backs[name] for name in fronts}
        answers = {backs[name]: fronts[name] for name in backs}
        poller = zmq.Poller()
        for socket in (*ways, *answers):
            poller.register(socket, zmq.POLLIN)
        try:
            while True:
                for socket, _ in poller.poll():
                    frames: list[bytes] = socket.recv_multipart()
                    if socket in ways:
                        self._ask(frames, ways[socket])
                    else:
                        self._answer(frames, answers[socket])
        except zmq.ContextTerminated:
            pass
        finally:
            close((*ways, *answers))

    def _ask(self, frames: list[bytes], back: ZmqSocket) -> None:
        try:
            start = frames.index(_DELIMITER)
            request = _id(frames[start + _HEADER])
        except (ValueError, IndexError):
            return  # Not a message.
        self._envelopes[request] = frames[:start]
        if len(self._envelopes) > _MOST:
            self._envelopes.popitem(last=False)
        back.send_multipart(frames[start:])

    def _answer(self, frames: list[bytes], front: ZmqSocket) -> None:
        try:
            start = frames.index(_DELIMITER)
            envelope = self._envelopes[_id(frames[start + _PARENT])]
        except (ValueError, IndexError, KeyError):
            return  # A reply to no request.
        front.send_multipart([*envelope, *frames[start:]])


def _id(header: bytes) -> str:
    return msgspec.json.decode(header, type=_Header).msg_id
