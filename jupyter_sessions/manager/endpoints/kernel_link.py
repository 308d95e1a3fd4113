"""The manager's link to one kernel: its sockets, its output, and the code run in it."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
import zmq
import zmq.asyncio
from jupyter_client.session import Session

from jupyter_sessions.channels.iopub import Iopub
from jupyter_sessions.channels.kernel_client import KernelClient
from jupyter_sessions.channels.messages import deserialize
from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.errors import LaunchFailed
from jupyter_sessions.manager.endpoints.transport import IPC, LOOPBACK, TCP
from jupyter_sessions.manager.runtime.process import Process
from jupyter_sessions.wire.files import load, read, remove, write_private
from jupyter_sessions.wire.places import private_folder

_OPEN_SECONDS = 0.005
_SUBSCRIBE_SECONDS = 0.02


class KernelKeyLost(LaunchFailed):
    """The key of a kernel is lost, so no message can be sent to it."""


class KernelRecord(Protocol):
    """The part of a member's record that describes its kernel's connection."""

    kernel_key: str
    kernel_ports: list[int]
    process: Process | None


def new_key() -> str:
    """Return a new key to sign the messages of a kernel."""
    return secrets.token_hex(16)


def connect_to(member: KernelRecord, folder: Path, file: Path) -> KernelSockets:
    """Return the sockets of a member's kernel, and store its key in the member's record.

    Early managers stored the key only in the connection file. The key stays empty if that file is lost while a
    kernel uses it.
    """
    if not member.kernel_key:
        with suppress(OSError):
            member.kernel_key = load(file, _ConnectionFileKey).key
    if not member.kernel_key and member.process is None:
        member.kernel_key = new_key()
    return KernelSockets(folder, file, member.kernel_key, member)


class _ConnectionFileKey(msgspec.Struct):
    key: str


class KernelSockets(msgspec.Struct, frozen=True):
    """The sockets and key of a kernel: ipc sockets in a private folder, and the connection file for the kernel.

    A kernel that cannot use ipc gets `ports` instead; see `tcp_forwarder`. The file lies where no program deletes old
    files; a lost or damaged file is written again.
    """

    folder: Path
    file: Path
    secret: str
    member: Any = None

    @property
    def ports(self) -> dict[str, int]:
        """The TCP ports of a kernel that cannot use ipc, by channel; empty for other kernels."""
        return dict(zip(CHANNELS, self.member.kernel_ports if self.member else (), strict=False))

    @property
    def stem(self) -> str:
        """The common prefix of the sockets' paths, short because a path has at most 107 bytes."""
        return str(self.folder / "k")

    @property
    def shown(self) -> Path:
        """The public path of the connection file: a link that does not reveal the session's id."""
        return self.folder / "kernel.json"

    @property
    def front(self) -> str:
        """The common prefix of the paths of the relay's sockets for front ends."""
        return str(self.folder / "f")

    def prepare(self) -> None:
        """Create the folder and the connection file where needed. Errors: OSError, SessionError."""
        if not self.folder.parent.is_dir():  # The parent is a link, which mkdir would replace with a folder.
            raise LaunchFailed(
                "The folder of the sockets is gone.", hint="It is restored within a second: try again."
            )
        private_folder(self.folder)
        ports = {f"{name}_port": port for name, port in (self.ports or CHANNELS).items()}
        where = {"transport": TCP, "ip": LOOPBACK} if self.ports else {"transport": IPC, "ip": self.stem}
        scheme = {**where, "signature_scheme": "hmac-sha256"}
        wanted = msgspec.json.encode({**ports, **scheme, "key": self.key().decode()})
        if not (self.shown.is_symlink() and os.readlink(self.shown) == str(self.file)):
            remove(self.shown)
            self.shown.symlink_to(self.file)
        with suppress(OSError):
            if read(self.file) == wanted:
                return
        write_private(self.file, wanted)

    def make(self) -> None:
        """Prepare the folder for a new kernel."""
        self.prepare()
        self.clear()

    def clear(self) -> None:
        """Remove the sockets of an earlier kernel."""
        for path in self.folder.glob("k-*"):
            remove(path)

    def discard(self) -> None:
        """Remove the connection file and the folder with all sockets."""
        remove(self.file)
        remove(self.folder)

    def bound(self) -> bool:
        """Return whether the kernel listens."""
        return os.path.exists(f"{self.stem}-{CHANNELS['shell']}")

    def key(self) -> bytes:
        """Return the key that signs messages. Errors: KernelKeyLost, because without a key anybody could send messages."""
        if not self.secret:
            raise KernelKeyLost(f"The connection file {self.file} is lost or damaged.")
        return self.secret.encode()


class KernelLink(KernelClient):
    """A connection to all channels of a kernel, which are read until it is closed.

    `on_output` gets every message on iopub, of any client, after the runs that wait for it.
    """

    def __init__(
        self,
        connection: KernelSockets,
        on_output: Callable[[Message], None],
    ) -> None:
        super().__init__(Session(key=connection.key(), username="jupyter_sessions"))
        self._connection = connection
        self._on_output = on_output
        self._context = zmq.asyncio.Context.instance()
        self._sockets: dict[str, zmq.asyncio.Socket] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._iopub: Iopub | None = None
        self._replied = False
        self._kernel_busy = False
        self.times_busy = 0

    @property
    def busy(self) -> bool:
        """Whether the kernel is busy. A kernel that has not replied yet counts as busy."""
        return not self.closed.is_set() and (self._kernel_busy or not self._replied)

    async def open(self) -> dict[str, Any]:
        """Wait until the kernel listens and replies. Return its kernel_info. Cancel to give up."""
        while not self._connection.bound():  # noqa: ASYNC110
            await asyncio.sleep(_OPEN_SECONDS)
        self._sockets = {name: self._connect(name) for name in ("shell", "stdin", "control")}
        self._iopub = Iopub(self._subscribe(), self._on_iopub, lambda: bool(self._runs))
        self._readers = [asyncio.create_task(self._read(name)) for name in self._sockets]
        while True:
            message, run = self._begin("kernel_info_request", {})
            self._send_request(message)
            await run.replied.wait()
            self._replied = True
            self._runs.pop(run.id, None)
            # A subscription takes effect some time after it is made: repeat the request until output arrives.
            with suppress(TimeoutError):
                async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                    await self._iopub_connected.wait()
                return run.reply or {}

    def interrupt(self) -> None:
        """Send an interrupt request, for kernels with the interrupt mode "message". An unconnected kernel runs nothing."""
        if "control" in self._sockets:
            self._send("control", self._session.msg("interrupt_request", {}))

    def shutdown(self) -> bool:
        """Send a shutdown request. Return False if the link was never connected."""
        if "control" not in self._sockets:
            return False
        self._send("control", self._session.msg("shutdown_request", {"restart": False}))
        return True

    def close(self, why: str) -> None:
        """Disconnect and end all unfinished runs."""
        for reader in self._readers:
            reader.cancel()
        for socket in self._sockets.values():
            socket.close(linger=100)
        self._sockets = {}
        if self._iopub is not None:
            self._iopub.close()
        super().close(why)

    def read_iopub_from(self, socket: zmq.Socket[bytes]) -> None:
        """Read iopub from another socket, which its owner keeps and closes."""
        if self._iopub is not None:
            self._iopub.turn(socket)

    def _connect(self, channel: str) -> zmq.asyncio.Socket:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 100
        socket.setsockopt(zmq.RECONNECT_IVL, 10)
        socket.set_hwm(0)
        socket.identity = self._session.bsession
        socket.connect(f"ipc://{self._connection.stem}-{CHANNELS[channel]}")
        return socket

    def _subscribe(self) -> zmq.Socket[bytes]:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        socket = context.socket(zmq.SUB)
        socket.linger = 0
        socket.setsockopt(zmq.RECONNECT_IVL, 10)
        socket.set_hwm(0)
        socket.subscribe(b"")
        socket.connect(f"ipc://{self._connection.stem}-{CHANNELS['iopub']}")
        return socket

    def _send_request(self, message: Message) -> None:
        if self._iopub is not None:
            self._iopub.read()
        super()._send_request(message)

    def _send(self, channel: str, message: Message) -> None:
        """Send a message through the asyncio socket itself, so that its receiver is still woken up.

        `Session.send` sends through another object for the same socket, which can consume the single signal of a message
        that has just arrived; that message and all later ones would stay unread.
        """
        self._sockets[channel].send_multipart(self._session.serialize(message))

    async def _read(self, channel: str) -> None:
        socket = self._sockets[channel]
        while True:
            frames = await socket.recv_multipart(copy=True)
            if message := deserialize(frames):
                self._route(message)

    def _on_iopub(self, message: Message) -> None:
        self._output_arrives()
        if message["header"]["msg_type"] == "status":
            self._kernel_busy = message["content"].get("execution_state") == "busy"
            self.times_busy += self._kernel_busy
        self._on_output(message)
        self._route(message)
