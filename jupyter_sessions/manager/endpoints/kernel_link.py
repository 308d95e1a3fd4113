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
from jupyter_sessions.channels.messages import deserialize
from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.channels.sockets import Message
from jupyter_sessions.errors import LaunchFailed, NotRunning
from jupyter_sessions.manager.endpoints.output_buffer import OutputBuffer
from jupyter_sessions.manager.endpoints.transport import IPC, LOOPBACK, TCP
from jupyter_sessions.manager.runtime.process import Process
from jupyter_sessions.wire.files import load, read, remove, write_private
from jupyter_sessions.wire.places import private_folder

_OPEN_SECONDS = 0.005
_SUBSCRIBE_SECONDS = 0.02
UNREAD_SECONDS = 600.0


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


class Run:
    """Code running in a kernel: its messages in order, and its reply."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.reply: Message | None = None
        self.replied = asyncio.Event()
        self.idle = False
        self.waiting_input = False
        self.password = False
        self.messages = OutputBuffer()

    @property
    def finished(self) -> bool:
        """Whether the kernel has replied and gone idle, so that no more messages come."""
        return self.reply is not None and self.idle

    def put(self, message: Message) -> None:
        """Add a message of the kernel."""
        kind = message["header"]["msg_type"]
        if kind == "status":
            self.idle = self.idle or message["content"]["execution_state"] == "idle"
        elif kind in ("execute_reply", "complete_reply", "kernel_info_reply"):
            self.reply = message["content"]
            self.replied.set()
        elif kind != "execute_input":
            if kind == "input_request":
                self.waiting_input, self.password = True, bool(message["content"].get("password"))
            self.messages.put_nowait(message)
        if self.finished:
            self.messages.put_nowait(None)

    def abandon(self, why: str) -> None:
        """End the run, because the kernel is gone."""
        if not self.finished:
            self.reply = {"status": "error", "ename": "SessionEnded", "evalue": why, "traceback": [why]}
            self.idle = True
            self.replied.set()
            self.messages.put_nowait(None)


class KernelLink:
    """A connection to all channels of a kernel, which are read until it is closed.

    `on_output` gets every message on iopub, of any client, after the runs that wait for it.
    """

    def __init__(
        self,
        connection: KernelSockets,
        on_output: Callable[[Message], None],
    ) -> None:
        self._connection = connection
        self._on_output = on_output
        self._session = Session(key=connection.key(), username="jupyter_sessions")
        self._context = zmq.asyncio.Context.instance()
        self._runs: dict[str, Run] = {}
        self._sockets: dict[str, zmq.asyncio.Socket] = {}
        self._readers: list[asyncio.Task[None]] = []
        self._iopub: Iopub | None = None
        self._iopub_connected = asyncio.Event()
        self._replied = False
        self._kernel_busy = False
        self._unsent: list[Message] = []
        self._why_closed = ""
        self.closed = asyncio.Event()
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

    def execute(self, code: str, *, stdin: bool = False) -> Run:
        """Run code, whether or not its output is read."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": stdin,
            "stop_on_error": False,
        }
        return self._request("execute_request", content)

    def complete(self, code: str, cursor: int) -> Run:
        """Request completions of code at a cursor position; `Run.reply` will have them."""
        return self._request("complete_request", {"code": code, "cursor_pos": cursor})

    def add(self, run: Run) -> None:
        """Add a run that is not the kernel's own, so that it ends with the session, too."""
        self._runs[run.id] = run

    def run(self, id: str) -> Run:
        """Return a run by its id. Errors: NotRunning if it has ended and its output was read."""
        try:
            return self._runs[id]
        except KeyError:
            raise NotRunning(
                f"There is no run '{id}' in this session any more.",
                hint="Its output is in the session's journal.",
                field="runId",
            ) from None

    def forget(self, run: Run) -> None:
        """Drop a run whose output was read to its end."""
        self._runs.pop(run.id, None)

    def drop_unread_output(self) -> None:
        """Drop runs that no client has read for a while; the journal has their output."""
        for run in [*self._runs.values()]:
            if run.messages.idle_seconds() > UNREAD_SECONDS:
                self.forget(run)

    def input(self, run: Run, text: str) -> None:
        """Answer the input request of a run."""
        run.waiting_input = False
        self._send("stdin", self._session.msg("input_reply", {"value": text}))

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
        for run in self._runs.values():
            run.abandon(why)
        self._unsent, self._why_closed = [], why
        self.closed.set()

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

    def _request(self, kind: str, content: dict[str, Any]) -> Run:
        """Begin a run. The request is sent only after iopub is connected, so that no message of the run is missed."""
        message, run = self._begin(kind, content)
        if self.closed.is_set():
            run.abandon(self._why_closed)
        else:
            self._unsent.append(message)
            self._send_early()
        return run

    def _send_early(self) -> None:
        while self._unsent and self._iopub_connected.is_set():
            self._send_request(self._unsent.pop(0))

    def _begin(self, kind: str, content: dict[str, Any]) -> tuple[Message, Run]:
        message = self._session.msg(kind, content)
        run = self._runs[message["header"]["msg_id"]] = Run(message["header"]["msg_id"])
        return message, run

    def _send_request(self, message: Message) -> None:
        if self._iopub is not None:
            self._iopub.read()
        self._send("shell", message)

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
        self._iopub_connected.set()
        if self._unsent:
            asyncio.get_running_loop().call_soon(self._send_early)
        if message["header"]["msg_type"] == "status":
            self._kernel_busy = message["content"].get("execution_state") == "busy"
            self.times_busy += self._kernel_busy
        self._on_output(message)
        self._route(message)

    def _route(self, message: Message) -> None:
        run = self._runs.get(message["parent_header"].get("msg_id", ""))
        if run is not None:
            run.put(message)
