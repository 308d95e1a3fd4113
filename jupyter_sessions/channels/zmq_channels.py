"""Channels over ZeroMQ sockets.

A DEALER whose connection is cut connects again by itself, under the identity it had, but nobody tells whether messages
were lost meanwhile; a monitor of the shell socket does. Source: libzmq 4.3, zmq_socket_monitor(3); "Messaging in
Jupyter", wire protocol 5.4.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.session import Session
from zmq.utils.monitor import parse_monitor_message

from jupyter_sessions.channels.kernel_channels import (
    CONNECT_SECONDS,
    ChannelsListener,
    KernelChannels,
    Parts,
)
from jupyter_sessions.channels.kernel_endpoints import ZmqEndpoint
from jupyter_sessions.channels.relay_addresses import address
from jupyter_sessions.errors import BackendUnavailable, NotSupported

log = logging.getLogger("jupyter_sessions")
_DELIMITER = b"<IDS|MSG>"
_RECONNECT_MS, _RECONNECT_MOST_MS = 20, 1000
_READY = zmq.EVENT_HANDSHAKE_SUCCEEDED
_CHANNELS = {"shell": zmq.DEALER, "stdin": zmq.DEALER, "control": zmq.DEALER, "iopub": zmq.SUB}


class ZmqChannels(KernelChannels):
    """Channels to a kernel that listens at ZeroMQ sockets; a message that its key did not sign is dropped."""

    def __init__(self, endpoint: ZmqEndpoint, listener: ChannelsListener, identity: str = "") -> None:
        self._endpoint = endpoint
        self._listener = listener
        scheme = endpoint.signature_scheme or "hmac-sha256"
        self._session = Session(key=endpoint.key.encode(), signature_scheme=scheme, username="")
        self._identity = identity.encode() or self._session.bsession
        self._context: zmq.asyncio.Context | None = None
        self._sockets: dict[str, zmq.asyncio.Socket] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._ready = asyncio.Event()
        self._losing: asyncio.Handle | None = None

    async def open(self) -> None:
        """See `KernelChannels.open`."""
        self._context = zmq.asyncio.Context()
        self._sockets = {channel: self._socket(channel) for channel in _CHANNELS}
        monitor = self._sockets["shell"].get_monitor_socket(_READY | zmq.EVENT_DISCONNECTED)
        self._start(self._watch(monitor))
        for channel, socket in self._sockets.items():
            socket.connect(address(self._endpoint, channel))
            self._start(self._read(channel, socket))
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            await self.close()
            raise BackendUnavailable(
                f"The session's kernel does not answer at {self._endpoint.transport}://{self._endpoint.ip}.",
                hint="Look at the session's logs, or start it again.",
            ) from None

    def send(self, channel: str, parts: Parts) -> None:
        """See `KernelChannels.send`."""
        signature = self._session.sign(parts[:4])
        self._sockets[channel].send_multipart([_DELIMITER, signature, *parts])

    async def interrupt(self) -> None:
        """Ask the kernel by a message on control, as kernels of `interrupt_mode` "message" want it."""
        message = self._session.msg("interrupt_request", {})
        frames = self._session.serialize(message)
        self.send("control", frames[frames.index(_DELIMITER) + 2 :])

    async def restart(self) -> None:
        """Errors: NotSupported: nobody there would start another kernel."""
        raise NotSupported("A kernel that is reached by ZeroMQ is started again only by its backend.")

    async def close(self) -> None:
        """See `KernelChannels.close`."""
        if self._losing is not None:
            self._losing.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._sockets:
            self._sockets.pop("shell").close(linger=200)
        for socket in self._sockets.values():
            socket.close(linger=200)
        self._sockets = {}
        if self._context is not None:
            await asyncio.to_thread(self._context.term)

    def _socket(self, channel: str) -> zmq.asyncio.Socket:
        assert self._context is not None  # noqa: S101
        socket = self._context.socket(_CHANNELS[channel])
        socket.linger = 200
        socket.set_hwm(0)
        socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MOST_MS)
        if channel == "iopub":
            socket.subscribe(b"")
        else:
            socket.identity = self._identity
        if self._endpoint.transport == "tcp":
            socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
        if self._endpoint.curve_publickey:
            socket.curve_publickey = socket.curve_serverkey = self._endpoint.curve_publickey.encode()
            socket.curve_secretkey = self._endpoint.curve_secretkey.encode()
        return socket

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _read(self, channel: str, socket: zmq.asyncio.Socket) -> None:
        while True:
            frames: list[bytes] = await socket.recv_multipart()
            if (parts := self._verified(frames)) is not None:
                guarded(self._listener.take, channel, parts)
            else:
                log.warning("A message of a session's kernel is malformed or not signed by its key.")

    def _verified(self, frames: list[bytes]) -> Parts | None:
        try:
            at = frames.index(_DELIMITER) + 1
        except ValueError:
            return None
        parts = frames[at + 1 :]
        if len(parts) < 4 or not hmac.compare_digest(frames[at], self._session.sign(parts[:4])):
            return None
        return parts

    async def _watch(self, monitor: zmq.asyncio.Socket) -> None:
        cut = False
        try:
            while True:
                event = parse_monitor_message(await monitor.recv_multipart())["event"]
                if event == zmq.EVENT_DISCONNECTED and self._ready.is_set():
                    cut = True
                    self._losing = self._losing or asyncio.get_running_loop().call_later(
                        CONNECT_SECONDS, self._lose
                    )
                elif event == _READY:
                    self._ready.set()
                    if self._losing is not None:
                        self._losing.cancel()
                        self._losing = None
                    if cut:
                        cut = False
                        self._listener.reconnected(replaced=False)
        finally:
            monitor.close(linger=0)

    def _lose(self) -> None:
        self._losing = None
        self._listener.gone("The session's kernel has ended, or its connection is lost.")


def guarded(take: Callable[..., None], *message: Any) -> None:
    """Pass on a message; code in a session can make its kernel send anything, and later ones must still be read."""
    try:
        take(*message)
    except Exception:
        log.exception("A kernel's message cannot be handled.")
