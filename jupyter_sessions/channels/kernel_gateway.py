"""A kernel's sockets on this machine for a kernel that is elsewhere: what a relay connects to.

Messages are passed on as they are and signed with the gateway's key. Replies and input requests go to the front end
whose request they name as their parent, output to all. Heartbeats are answered here. What the kernel does not answer,
because it was replaced or the connection was cut, is answered here, so that no cell waits for ever.

Source: "Messaging in Jupyter", wire protocol 5.4; ROUTER as in ZeroMQ's guide, chapter 3.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq
import zmq.asyncio
from jupyter_client.session import Session

from jupyter_sessions.channels.endpoint_client import LOST, REPLACED, EndpointClient, announces_restart
from jupyter_sessions.channels.kernel_channels import Parts
from jupyter_sessions.channels.kernel_endpoints import KernelEndpoint
from jupyter_sessions.channels.messages import from_parts
from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.errors import SessionError
from jupyter_sessions.wire import untrusted
from jupyter_sessions.wire.files import load, remove, write_private

log = logging.getLogger("jupyter_sessions")
MOST_REQUESTS = 10_000
MOST_SAVED = 1000
_RELAY_SECONDS = 3.0
_SAVE_SECONDS = 0.2
_DELIMITER = b"<IDS|MSG>"


class _Request(msgspec.Struct, omit_defaults=True):
    """A request of a front end: where the reply goes, and what has come of it. `held` until the kernel answers."""

    channel: str
    envelope: list[bytes]
    header: dict[str, Any]
    replied: bool = False
    idle: bool = False
    held: Parts | None = None


class KernelGateway(EndpointClient):
    """Listens at the ipc sockets of `stem` like a kernel with `key`, from `listen` to `disconnect`.

    `on_gone` is called with the reason once the kernel cannot be reached any more; requests of front ends stay
    unanswered then until `fail`. Those that are unanswered are kept in the file `saved`, for the gateway after one
    that was killed: under the same `identity` it gets the replies that are left.
    """

    def __init__(
        self,
        endpoint: KernelEndpoint,
        stem: str,
        key: str,
        on_gone: Callable[[str], None],
        *,
        saved: Path,
        identity: str,
    ) -> None:
        super().__init__(endpoint, identity)
        self._stem = stem
        self._saved = saved
        self._front_session = Session(key=key.encode(), username="jupyter_sessions")
        self._on_gone = on_gone
        self._context = zmq.asyncio.Context()
        self._fronts: dict[str, zmq.asyncio.Socket] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._requests: OrderedDict[str, _Request] = OrderedDict()
        self._doubtful: list[str] = []
        self._relay_connected = asyncio.Event()
        self._saving: asyncio.Handle | None = None

    def listen(self) -> None:
        """Listen for the relay. Errors: zmq.ZMQError."""
        for channel, number in CHANNELS.items():
            socket = self._context.socket(zmq.XPUB if channel == "iopub" else zmq.ROUTER)
            socket.linger = 200
            socket.set_hwm(0)
            if channel != "iopub":
                socket.router_handover = True  # The next relay comes under the identity of the one before.
            remove(Path(f"{self._stem}-{number}"))
            socket.bind(f"ipc://{self._stem}-{number}")
            self._fronts[channel] = socket
            self._start(self._serve(channel, socket))

    @property
    def kernel_was_free(self) -> bool:
        """Whether the kernel has answered since the connection was made: what it ran before is over."""
        return self._iopub_connected.is_set()

    async def open(self) -> None:
        """Connect to the kernel, once the relay hears what it says. Errors: BackendUnavailable, of others."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_RELAY_SECONDS):
                await self._relay_connected.wait()
        self._load()
        await super().open()

    async def disconnect(self, why: str = "The connection was closed.") -> None:
        """Stop listening; the kernel stays."""
        if self._saving is not None:
            self._saving.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for socket in self._fronts.values():
            socket.close()
        self._fronts = {}
        await super().disconnect(why)
        await asyncio.to_thread(self._context.term)

    def fail(self, name: str, why: str) -> None:
        """Answer all requests with an error."""
        self._fail([*self._requests], name, why)

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # From front ends.

    async def _serve(self, channel: str, socket: zmq.asyncio.Socket) -> None:
        while True:
            frames: list[bytes] = await socket.recv_multipart()
            if channel == "hb":
                await socket.send_multipart(frames)
                continue
            if channel == "iopub":  # A subscription.
                self._relay_connected.set()
                continue
            try:
                self._receive(channel, frames)
            except (ValueError, KeyError, TypeError, msgspec.MsgspecError):
                log.warning(
                    "A message on a session's %s channel is not one that a kernel understands.", channel
                )

    def _receive(self, channel: str, frames: list[bytes]) -> None:
        at = frames.index(_DELIMITER)
        signature, *parts = frames[at + 1 :]
        if not hmac.compare_digest(signature, self._front_session.sign(parts[:4])):
            raise ValueError("signed with another key")
        header = untrusted.decode(parts[0], type=dict[str, Any])
        kind = header["msg_type"]
        if channel == "stdin":
            self._channels.send("stdin", parts)
            return
        request = _Request(channel, frames[:at], header, replied=not kind.endswith("_request"))
        self._requests[header["msg_id"]] = request
        if len(self._requests) > MOST_REQUESTS:
            self._requests.popitem(last=False)
        if kind == "execute_request":
            self._save()
        if channel == "control" and kind == "interrupt_request":
            self._start(self._interrupt(request))
        elif channel == "shell" and not self._iopub_connected.is_set():
            request.held = parts
        else:
            self._forward(request, parts)

    def _forward(self, request: _Request, parts: Parts) -> None:
        request.held = None
        try:
            self._channels.send(request.channel, parts)
        except SessionError as error:
            self._fail([request.header["msg_id"]], error.reason, error.message)

    async def _interrupt(self, request: _Request) -> None:
        content: Message = {"status": "ok"}
        try:
            await self._channels.interrupt()
        except SessionError as error:
            content = {"status": "error", "ename": error.reason, "evalue": error.message, "traceback": []}
        self._reply(request, content)
        self._requests.pop(request.header["msg_id"], None)

    # From the kernel.

    def take(self, channel: str, parts: Parts) -> None:
        """See `ChannelsListener.take`."""
        header, parent = (untrusted.decode(part) or {} for part in parts[:2])
        uid = parent.get("msg_id", "")
        if uid in self._runs:
            super().take(channel, parts)
        elif channel == "iopub":
            self._publish(parts)
            if header["msg_type"] in ("status", "shutdown_reply"):
                self._take_status(uid, from_parts(parts))
        elif (request := self._requests.get(uid)) is not None and self._fronts:
            request.replied = request.replied or channel != "stdin"
            frames = [_DELIMITER, self._front_session.sign(parts[:4]), *parts]
            self._fronts[channel].send_multipart([*request.envelope, *frames])
            self._drop_finished(uid)

    def _publish(self, parts: Parts) -> None:
        if self._fronts:
            signature = self._front_session.sign(parts[:4])
            self._fronts["iopub"].send_multipart([b"kernel", _DELIMITER, signature, *parts])

    def _take_status(self, uid: str, message: Message | None) -> None:
        if message is None:
            return
        if announces_restart(message):
            self.reconnected(replaced=True)
        elif message["content"].get("execution_state") == "idle" and uid in self._requests:
            self._requests[uid].idle = True
            self._drop_finished(uid)

    def _drop_finished(self, uid: str) -> None:
        request = self._requests[uid]
        if request.replied and request.idle:
            del self._requests[uid]
            if self._saving is None:
                self._saving = asyncio.get_running_loop().call_later(_SAVE_SECONDS, self._save)

    def reconnected(self, *, replaced: bool) -> None:
        """See `ChannelsListener.reconnected`."""
        sent = [uid for uid, request in self._requests.items() if request.held is None]
        if replaced:
            self._fail(sent, "KernelRestarted", REPLACED)
        else:
            self._doubtful += sent
        super().reconnected(replaced=replaced)

    def _output_arrives(self) -> None:
        doubtful, self._doubtful = self._doubtful, []
        self._fail([uid for uid in doubtful if uid in self._requests], "ReplyLost", LOST)
        super()._output_arrives()
        for request in [*self._requests.values()]:
            if request.held is not None:
                self._forward(request, request.held)

    def gone(self, why: str) -> None:
        """See `ChannelsListener.gone`."""
        super().gone(why)
        self._on_gone(why)

    # From one process to the next.

    def _save(self) -> None:
        self._saving = None
        cells = [one for one in self._requests.values() if one.header["msg_type"] == "execute_request"]
        kept = [msgspec.structs.replace(one, held=None) for one in cells[-MOST_SAVED:]]
        with suppress(OSError):
            write_private(self._saved, msgspec.json.encode(kept))

    def _load(self) -> None:
        """Expect replies to the requests of an earlier gateway, also to those that it did not pass on."""
        with suppress(OSError):
            for request in load(self._saved, list[_Request]):
                uid = str(request.header.get("msg_id"))
                if uid not in self._requests:
                    self._requests[uid] = request
                    self._doubtful.append(uid)

    # In the kernel's place.

    def _fail(self, uids: Iterable[str], name: str, why: str) -> None:
        error = {"ename": name, "evalue": why, "traceback": [f"{name}: {why}"]}
        for uid in uids:
            request = self._requests.pop(uid)
            if not request.replied:
                if request.header["msg_type"] == "execute_request":
                    self._say("error", error, request)
                self._reply(request, {"status": "error", "execution_count": None, **error})
            if not request.idle:
                self._say("status", {"execution_state": "idle"}, request)

    def _reply(self, request: _Request, content: Message) -> None:
        kind = f"{request.header['msg_type'].removesuffix('_request')}_reply"
        message = self._front_session.msg(kind, content, parent={"header": request.header})
        if self._fronts:
            frames = self._front_session.serialize(message)
            self._fronts[request.channel].send_multipart([*request.envelope, *frames])

    def _say(self, kind: str, content: Message, request: _Request) -> None:
        message = self._front_session.msg(kind, content, parent={"header": request.header})
        frames = self._front_session.serialize(message)
        self._publish(frames[frames.index(_DELIMITER) + 2 :])
