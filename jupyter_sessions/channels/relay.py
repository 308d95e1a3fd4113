"""Connect front ends to a session's kernel, at addresses that stay the same while kernels come and go.

Shell, iopub, stdin and heartbeat are passed on unchanged, by libzmq in threads of their own, so binary buffers pass
as well, and the delay is not measurable. On control, a `shutdown_request` is answered here and reported to the owner:
a notebook that closes must not end a session that it only visits (jupyter_client sends this request without asking).
All other control messages are passed on. While there is no kernel, a `PlaceholderKernel` answers in its place.

Source: "Messaging in Jupyter", wire protocol 5.4; ROUTER and DEALER as in ZeroMQ's guide, chapter 3.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import msgspec
import zmq
from jupyter_client.session import Session

from jupyter_sessions.channels import relay_handover
from jupyter_sessions.channels.backlog import Backlog
from jupyter_sessions.channels.placeholder_kernel import ControlCallback, PlaceholderKernel, Queued
from jupyter_sessions.channels.relay_addresses import CHANNELS, OWNER_CONTROL
from jupyter_sessions.channels.relay_handover import RelayHandover
from jupyter_sessions.channels.relay_targets import BackEnd
from jupyter_sessions.channels.sockets import (
    LINGER_MS,
    Message,
    ZmqContext,
    ZmqSocket,
    close,
    each,
    listen,
    queue,
    read_all,
)
from jupyter_sessions.channels.unanswered import Unanswered, UnansweredRequest

log = logging.getLogger("jupyter_sessions")

_RETURN_SECONDS = 0.3
"""Time for clients to come back; by default they try to connect every 0.1 s."""
_HEAR_SECONDS = 2.0
_ASK_MS = 100
_AGAIN_SECONDS = 0.01
_TURN_MS = 300
"""Time for a relay to connect to the placeholder that speaks for a kernel that has ended."""
_PASS_SECONDS = 0.1
"""Time for the relay's threads to pass on the last messages."""
_PORTS = {**CHANNELS, "owner": OWNER_CONTROL}
_TAGS = {"control": b"a", "owner": b"o"}
_ASKER = b"relay"
_COPIES = "inproc://copies"
_HEARD = "inproc://heard"


class Relay:
    """The relay of one session, with a ZeroMQ context of its own, until `close`.

    All iopub messages of the kernel also arrive at `heard`, for the caller: this costs a notebook less than another
    subscription. Empty it with `tidy` while nobody reads it. `stem` is the prefix of the paths of its sockets,
    `key` the kernel's key. Messages that wait for a kernel are kept in `backlog`. `earlier` holds the unanswered
    requests that earlier relays have passed on. Begin with `open` if there is a kernel, otherwise with `stand_in`.
    All methods are called in one thread; `told` is called in another.
    """

    def __init__(
        self,
        stem: str,
        key: bytes,
        back: BackEnd,
        told: ControlCallback,
        *,
        backlog: Backlog | None = None,
        earlier: Sequence[UnansweredRequest] = (),
        identity: bytes = b"",
    ) -> None:
        self._stem = stem
        self._back = back
        self._told = told
        if not key:
            raise ValueError("A relay without a key would let anybody send messages to the kernel.")
        self._session = Session(key=key, username="jupyter_sessions")
        self._identity = identity or secrets.token_bytes(8).replace(b"\0", b"\1")
        self._context: ZmqContext = zmq.Context()
        self._orders: ZmqSocket | None = None
        self._waiting: threading.Thread | None = None
        self._backlog = backlog or Backlog(None)
        self._before = {one.relay: None for one in earlier}
        self._handover: RelayHandover | None = None
        self._back_at = 0.0
        self._unanswered = Unanswered(self._identity, earlier)
        self._copies = self._collect(_COPIES)
        self.heard = self._collect(_HEARD)

    def open(self, *, again: bool = False) -> None:
        """Listen for front ends, or do so `again` in place of an earlier relay that had clients.

        These clients come back on one channel after the other; their requests wait until they can hear the replies.
        Errors: zmq.ZMQError.
        """
        try:
            if self._before:
                self._handover = RelayHandover(self._context, self._heirs)
            backs = each(self._connect, CHANNELS)
            self._pass_on(self._bind(), backs, _RETURN_SECONDS if again else 0)
        except zmq.ZMQError:
            self._context.destroy(0)
            raise

    def close(self) -> None:
        """Disconnect all clients; takes at most 0.3 s."""
        if self._orders is not None:
            self._orders.close()
        if self._handover is not None:
            self._handover.close()
        self._copies.close()
        self.heard.close()
        self._context.term()

    def reachable(self) -> bool:
        """Return whether the sockets at which clients connect still exist."""
        return all(os.path.exists(f"{self._stem}-{port}") for port in _PORTS.values())

    def tidy(self, *, deaf: bool = False) -> None:
        """Drop answered requests, and if `deaf` the messages in `heard` as well; call this about once a second."""
        for frames in read_all(self._copies):
            self._unanswered.take(frames)
        if deaf:
            for _ in read_all(self.heard):
                continue

    def forget(self) -> None:
        """Drop all unanswered requests: their kernel is gone, and another follows."""
        self.tidy()
        self._unanswered.clear()
        self.settle()

    # What is not answered yet.

    def unanswered(self, counts: Mapping[str, int]) -> list[UnansweredRequest]:
        """Return the requests to run code that are not answered yet.

        `counts` are the kernel's numbers for the executions, by the id of the request.
        """
        self.tidy()
        return self._unanswered.all(counts)

    def answer(self, one: UnansweredRequest, content: Message | None, *, idle: bool) -> None:
        """Answer one of the `earlier` requests in place of the kernel; see `RelayHandover.answer`."""
        if self._handover is not None:
            self._handover.answer(self._session, one, content, idle=idle)

    def settle(self) -> None:
        """Declare that all `earlier` requests are answered."""
        if self._handover is not None:
            self._handover.settle()

    # Without a kernel.

    def stand_in(self, info: Message, text: str) -> None:
        """Listen, and let a `PlaceholderKernel` answer until `lead` or `end`. Errors: zmq.ZMQError."""
        try:
            self._orders = self._context.socket(zmq.PAIR)
            self._orders.linger = 0
            self._orders.bind("inproc://orders")
            fronts = self._bind()
        except zmq.ZMQError:
            self._context.destroy(0)
            raise
        stand_in = PlaceholderKernel(self._session, info, text, self._told, self._backlog)
        self._waiting = self._start("stand-in", self._wait, stand_in, fronts)

    def say(self, text: str) -> None:
        """Show another reason for the wait, "" while the kernel is being started."""
        self._order("say", text)

    def interrupt(self) -> None:
        """Fail all queued requests as interrupted."""
        self._order("interrupt")

    def lead(self) -> None:
        """Connect the kernel, which gets the queued messages."""
        self._order("lead")
        self._waiting = None

    def end(self, why: str, counts: dict[str, int]) -> None:
        """Tell clients that the kernel has ended for good, and why; takes at most half a second.

        `counts` are the kernel's numbers for the executions, by the id of the request.
        """
        if self._waiting is not None:
            self._order("end", why)
            self._waiting.join(LINGER_MS / 1000)
        else:
            time.sleep(max(0.0, self._back_at - time.monotonic()))
            asked = self.unanswered(counts)
            self._speak_for_the_dead(why, [one.queued(self._identity) for one in asked])

    def _order(self, order: str, text: str = "") -> None:
        if self._waiting is not None and self._orders is not None:
            with suppress(zmq.Again):  # The placeholder has stopped.
                self._orders.send_multipart([order.encode(), text.encode()], zmq.NOBLOCK)

    def _wait(self, stand_in: PlaceholderKernel, fronts: dict[str, ZmqSocket]) -> None:
        orders = self._context.socket(zmq.PAIR)
        orders.linger = 0
        try:
            orders.connect("inproc://orders")
            if stand_in.serve(fronts, orders):
                self._take_over(stand_in, fronts)
                return
        except zmq.ContextTerminated:
            pass
        except zmq.ZMQError:
            log.exception("Notebooks that wait for a kernel cannot be connected to it.")
        finally:
            orders.close()
        close(fronts.values())

    def _take_over(self, stand_in: PlaceholderKernel, fronts: dict[str, ZmqSocket]) -> None:
        """Connect clients to the kernel: first their subscriptions, then their requests."""
        backs = each(self._connect, CHANNELS)
        stand_in.hear_subscriptions(_HEAR_SECONDS)
        for topic in stand_in.topics:
            backs["iopub"].send(b"\x01" + topic)
        if stand_in.queue and stand_in.topics:
            self._until_heard(backs, fronts["iopub"])
        copies = self._copier(_COPIES)
        self._backlog.clear()  # A lost request is better than one that runs twice.
        for one in stand_in.queue:
            tag = _TAGS.get(one.channel)
            backs["control" if tag else one.channel].send_multipart([tag, *one.frames] if tag else one.frames)
            copies.send_multipart(one.frames)
        copies.close()
        self._pass_on(fronts, backs, _RETURN_SECONDS if stand_in.refilled else 0)

    def _until_heard(self, backs: dict[str, ZmqSocket], iopub: ZmqSocket) -> None:
        """Send requests to the kernel until iopub carries a reply, because a subscription takes effect late."""
        deadline = time.monotonic() + _HEAR_SECONDS
        while time.monotonic() < deadline:
            self._session.send(backs["shell"], "kernel_info_request", {}, ident=_ASKER)
            if backs["iopub"].poll(_ASK_MS):
                iopub.send_multipart(backs["iopub"].recv_multipart())
                return

    def _speak_for_the_dead(self, why: str, unheard: list[Queued]) -> None:
        sockets = each(lambda channel: self._back.place(self._context, channel), ("shell", "iopub"))
        try:
            sockets["iopub"].poll(_TURN_MS)  # Wait for a subscription.
            self._until_turned(sockets["shell"])
            PlaceholderKernel(self._session, {}, "", self._told, Backlog(None)).end(sockets, why, unheard)
        finally:
            close(sockets.values())
        time.sleep(_PASS_SECONDS)

    def _until_turned(self, shell: ZmqSocket) -> None:
        shell.router_mandatory = True  # Otherwise messages to peers that are not connected yet are lost.
        deadline = time.monotonic() + _TURN_MS / 1000
        while time.monotonic() < deadline:
            try:
                shell.send_multipart([self._identity, _ASKER, b""])
                break
            except zmq.ZMQError:
                time.sleep(_AGAIN_SECONDS)
        shell.router_mandatory = False

    # With a kernel.

    def _bind(self) -> dict[str, ZmqSocket]:
        return each(
            lambda channel: listen(self._context, channel, f"ipc://{self._stem}-{_PORTS[channel]}"), _PORTS
        )

    def _connect(self, channel: str) -> ZmqSocket:
        return self._back.socket(self._context, channel, self._identity)

    def _heirs(self, channel: str) -> list[ZmqSocket]:
        return [self._back.socket(self._context, channel, identity) for identity in self._before]

    def _start(self, name: str, work: Callable[..., None], *given: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=given, name=f"relay-{name}", daemon=True)
        thread.start()
        return thread

    def _pass_on(self, fronts: dict[str, ZmqSocket], backs: dict[str, ZmqSocket], pause: float) -> None:
        backs["iopub"].send(b"\x01")  # A subscription to everything.
        copies = each(self._copier, (_COPIES, _HEARD))
        if self._handover is not None:
            self._handover.join(backs["iopub"])
        self._back_at = time.monotonic() + pause
        for channel, address in (("shell", _COPIES), ("iopub", _HEARD), ("stdin", ""), ("hb", "")):
            way = fronts[channel], backs[channel], copies.get(address)
            self._start(channel, self._forward, channel, way, pause if channel == "shell" else 0)
        self._start("control", self._filter, [fronts["control"], fronts["owner"]], backs["control"])

    def _collect(self, address: str) -> ZmqSocket:
        made = queue(self._context, zmq.PULL)
        made.bind(address)
        return made

    def _copier(self, address: str) -> ZmqSocket:
        made = queue(self._context, zmq.PUSH)
        made.connect(address)
        return made

    def _forward(
        self, channel: str, way: tuple[ZmqSocket, ZmqSocket, ZmqSocket | None], pause: float
    ) -> None:
        time.sleep(pause)
        try:
            if self._handover is not None and channel in relay_handover.CHANNELS:
                self._handover.pass_on(channel, *way)
            zmq.proxy(*way)
        except zmq.ContextTerminated:
            pass
        finally:
            close(filter(None, way))

    def _filter(self, fronts: list[ZmqSocket], back: ZmqSocket) -> None:
        """Pass on control messages until the end.

        A frame in front of each request names its front, so that the reply returns there.
        """
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
            close((*fronts, back))

    def _answered(self, frames: list[bytes], front: ZmqSocket, owner: bool) -> bool:
        """Return whether this message was answered, or dropped, here."""
        try:
            identities, parts = self._session.feed_identities(frames)
            if msgspec.json.decode(cast("bytes", parts[1]))["msg_type"] != "shutdown_request":
                return False
            message = self._session.deserialize(parts)
            restart = bool(message["content"].get("restart"))
        except (AttributeError, ValueError, TypeError, KeyError, IndexError, RecursionError):
            log.warning("A message on a session's control channel is malformed or not signed by its key.")
            return True
        reply = {"status": "ok", "restart": restart}
        self._session.send(front, "shutdown_reply", reply, parent=message, ident=identities)
        if not restart:
            self._told("shutdown", owner)
        return True
