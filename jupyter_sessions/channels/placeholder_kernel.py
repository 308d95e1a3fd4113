"""Answer front ends while a session has no kernel: while it waits, while it starts, and after it has ended.

While a session waits, requests for general information about the kernel are answered here, and the first cell of
each page shows the reason for the wait as its output. While the kernel starts, these requests are left to the kernel
as well. All other requests are queued, and passed on to the kernel unchanged.

Source: "Messaging in Jupyter", protocol 5.4. jupyter_server 2.21 lets nobody in before it has heard
from the kernel on shell or control, and on iopub.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import cast

import msgspec
import zmq
from jupyter_client.session import Session

from jupyter_sessions.channels.backlog import Backlog
from jupyter_sessions.channels.sockets import Message, ZmqSocket, ZmqSockets

log = logging.getLogger("jupyter_sessions")

MOST_QUEUED = 1000
"""The most messages kept for the kernel; further ones are refused."""
_SUBSCRIBE = b"\x01"
_MORE_MS = 20

ControlCallback = Callable[[str, bool], None]
"""Called with "shutdown" or "interrupt", and whether the owner asked for it, in the serving thread."""


class Queued(msgspec.Struct, frozen=True):
    """A message for the kernel: its frames as they arrived, its sender, and its content."""

    channel: str
    frames: list[bytes]
    sender: list[bytes]
    message: Message

    @property
    def kind(self) -> str:
        """Return the type of the message."""
        return str(self.message["header"]["msg_type"])

    @property
    def page(self) -> str:
        """Return the id of the front end's page; a page gets another id when it is reloaded."""
        return str(self.message["header"].get("session", ""))


class PlaceholderKernel:
    """Serves sockets at which front ends expect a kernel, until it is told to stop.

    `info` is the content of the reply to ``kernel_info_request``. `text` is shown to those who wait, "" while the
    kernel is being started. After `serve`, `queue` and `topics` (the subscriptions of front ends) are for the
    kernel that takes over. The queue begins with the messages in `backlog`, which is kept in step with the queue;
    `refilled` says that the backlog held messages.
    """

    def __init__(
        self, session: Session, info: Message, text: str, told: ControlCallback, backlog: Backlog
    ) -> None:
        self._session = session
        self._info = info
        self._text = text
        self._told = told
        self._backlog = backlog
        self._sockets: ZmqSockets = {}
        self._shown: dict[str, Message] = {}
        self.queue: list[Queued] = []
        self.topics: set[bytes] = set()
        self.refilled = False

    def serve(self, sockets: ZmqSockets, orders: ZmqSocket) -> bool:
        """Answer until the order "lead" (returns True) or "end" (returns False).

        "lead" says that there is a kernel, "end" gives a reason. The other orders are "say", with another text, and
        "interrupt". Channels are those of a kernel, and "owner", the owner's own control channel. Errors:
        zmq.ContextTerminated.
        """
        self._sockets = sockets
        self._refill()
        names = {socket: name for name, socket in sockets.items()}
        poller = zmq.Poller()
        for socket in (orders, *names):
            poller.register(socket, zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                frames = cast("list[bytes]", socket.recv_multipart())
                if socket is not orders:
                    self._answer_or_keep(names[socket], frames)
                elif (done := self._obey(frames[0].decode(), frames[1].decode())) is not None:
                    return done

    def end(self, sockets: ZmqSockets, why: str, running: list[Queued] | None = None) -> None:
        """Fail all requests that run or are queued, and announce that the kernel is dead."""
        self._sockets = sockets
        while sockets["shell"].poll(_MORE_MS):
            self._answer_or_keep("shell", sockets["shell"].recv_multipart())
        found = {one.message["header"]["msg_id"]: one for one in [*(running or []), *self.queue]}
        self.queue = [*found.values()]
        if not any(one.kind == "execute_request" for one in self.queue):
            # No cell can show the reason. Consoles print output without a cell, and JupyterLab logs it.
            self._publish("stream", {"name": "stderr", "text": f"{why}\n"}, None)
        self._refuse("SessionEnded", why)
        self._publish("status", {"execution_state": "dead"}, None)

    def _refill(self) -> None:
        for channel, frames in self._backlog.read():
            if (one := self._read(channel, frames)) is not None:
                self.queue.append(one)
        self.refilled = bool(self.queue)
        self._shown = self._first()  # An earlier placeholder has shown them the reason.

    def hear_subscriptions(self, seconds: float) -> None:
        """Wait up to `seconds` until the front ends of kept requests have subscribed.

        They may have to reconnect first.
        """
        deadline, iopub = time.monotonic() + seconds, self._sockets["iopub"]
        while self.refilled and not self.topics and (left := deadline - time.monotonic()) > 0:
            if iopub.poll(1 + int(1000 * left)):
                self._answer_or_keep("iopub", iopub.recv_multipart())

    # Orders.

    def _obey(self, order: str, text: str) -> bool | None:
        if order == "say":
            self._say(text)
        elif order == "interrupt":
            self._refuse("KeyboardInterrupt", "Interrupted before there was a kernel to run this.")
        elif order == "lead":
            self._clear()
            return True
        elif order == "end":
            self.end(self._sockets, text)
            return False
        return None

    def _say(self, text: str) -> None:
        if text != self._text:
            self._text = text
            self._show()

    def _show(self) -> None:
        """Show the reason in the first cell of each waiting page, in place of the earlier reason."""
        if not self._text:
            return
        for page, first in self._first().items():
            if self._shown.get(page) is first:
                self._publish("clear_output", {"wait": True}, first)
            self._show_at(page, first)

    def _show_at(self, page: str, cell: Message) -> None:
        self._publish("stream", {"name": "stdout", "text": f"{self._text}\n"}, cell)
        self._shown[page] = cell

    def _first(self) -> dict[str, Message]:
        """Return the first waiting cell of each page.

        A page that was reloaded does not see the cells that it ran before.
        """
        first: dict[str, Message] = {}
        for one in self.queue:
            if one.kind == "execute_request":
                first.setdefault(one.page, one.message)
        return first

    def _clear(self) -> None:
        for page, first in self._first().items():
            if self._shown.get(page) is first:
                self._publish("clear_output", {"wait": False}, first)
        self._shown.clear()

    # Messages.

    def _answer_or_keep(self, channel: str, frames: list[bytes]) -> None:
        try:
            self._take(channel, frames)
        except (AttributeError, ValueError, TypeError, KeyError, IndexError, RecursionError):
            log.warning("A message on a session's %s channel is not one that a kernel understands.", channel)

    def _take(self, channel: str, frames: list[bytes]) -> None:
        if channel == "hb":
            self._sockets["hb"].send_multipart(frames)
        elif channel == "iopub":
            change = self.topics.add if frames[0][:1] == _SUBSCRIBE else self.topics.discard
            change(frames[0][1:])
        elif channel != "stdin":  # Nobody asked for input.
            one = self._read(channel, frames)
            if one is not None:
                self._answer(one)

    def _read(self, channel: str, frames: list[bytes]) -> Queued | None:
        try:
            sender, parts = self._session.feed_identities(frames)
            return Queued(channel, frames, sender, self._session.deserialize(parts))
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            log.warning("A message on a session's %s channel is malformed or not signed by its key.", channel)
            return None

    def _answer(self, one: Queued) -> None:
        control = one.channel in ("control", "owner")
        if control and one.kind == "shutdown_request":
            self._shut_down(one)
        elif control and one.kind == "interrupt_request":
            self._reply(one, {"status": "ok"})
            self._refuse("KeyboardInterrupt", "Interrupted before there was a kernel to run this.")
            self._told("interrupt", one.channel == "owner")
        elif self._text and (content := self._known(one)) is not None:
            self._publish("status", {"execution_state": "busy"}, one.message)
            self._reply(one, content)
            self._publish("status", {"execution_state": "idle"}, one.message)
            self._look_busy()
        else:
            self._keep(one)

    def _known(self, one: Queued) -> Message | None:
        """Return the reply that needs no kernel, or None if only the kernel can answer."""
        content = one.message["content"]
        if one.kind == "kernel_info_request":
            return self._info
        if one.kind == "complete_request":
            at = content.get("cursor_pos", 0)
            return {"status": "ok", "matches": [], "cursor_start": at, "cursor_end": at, "metadata": {}}
        known: dict[str, Message] = {
            "comm_info_request": {"status": "ok", "comms": {}},
            "history_request": {"status": "ok", "history": []},
            "inspect_request": {"status": "ok", "found": False, "data": {}, "metadata": {}},
            "is_complete_request": {"status": "unknown"},
        }
        return known.get(one.kind)

    def _shut_down(self, one: Queued) -> None:
        restart = bool(one.message["content"].get("restart"))
        self._reply(one, {"status": "ok", "restart": restart})
        if restart:
            self._refuse("KeyboardInterrupt", "The kernel was restarted before this could run.")
        else:
            self._told("shutdown", one.channel == "owner")

    def _keep(self, one: Queued) -> None:
        if len(self.queue) >= MOST_QUEUED:
            self._fail(one, "QueueFull", f"{MOST_QUEUED} requests already wait for this session's kernel.")
            return
        self.queue.append(one)
        self._backlog.add(one.channel, one.frames)
        if one.kind == "execute_request":
            self._look_busy()
            if self._text and one.page not in self._shown:
                self._show_at(one.page, one.message)

    def _look_busy(self) -> None:
        """Publish that the kernel is busy while cells wait, as a kernel with work does.

        Replies sent meanwhile must not make the kernel look idle.
        """
        waiting = next((one.message for one in self.queue if one.kind == "execute_request"), None)
        if waiting is not None:
            self._publish("status", {"execution_state": "busy"}, waiting)

    def _refuse(self, name: str, why: str) -> None:
        """Fail all queued requests."""
        self._clear()
        self._backlog.clear()
        queue, self.queue = self.queue, []
        for one in queue:
            self._fail(one, name, why)

    def _fail(self, one: Queued, name: str, why: str) -> None:
        error = {"ename": name, "evalue": why, "traceback": [f"{name}: {why}"]}
        if one.kind != "execute_request":
            self._reply(one, {"status": "error", **error})
            return
        count = one.message["content"].get("execution_count")
        self._publish("error", error, one.message)
        self._reply(one, {"status": "error", "execution_count": count, **error})
        self._publish("status", {"execution_state": "idle"}, one.message)

    def _reply(self, one: Queued, content: Message) -> None:
        if one.kind.endswith("_request"):
            kind = f"{one.kind.removesuffix('_request')}_reply"
            self._session.send(
                self._sockets[one.channel], kind, content, parent=one.message, ident=one.sender
            )

    def _publish(self, kind: str, content: Message, parent: Message | None) -> None:
        self._session.send(self._sockets["iopub"], kind, content, parent=parent, ident=kind.encode())
