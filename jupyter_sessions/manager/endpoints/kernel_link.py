"""The manager's line to one kernel: its ports, what it says, and code run in it."""

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
    """A kernel cannot be spoken to any more."""


class KernelRecord(Protocol):
    """What is kept of a member of a session, as far as its kernel's connection goes."""

    kernel_key: str
    kernel_ports: list[int]
    process: Process | None


def new_key() -> str:
    """Return a key that signs the messages of a kernel."""
    return secrets.token_hex(16)


def connect_to(member: KernelRecord, folder: Path, file: Path) -> KernelSockets:
    """Return the connection of a member's kernel, whose key is kept with the member from now on.

    Managers up to version 0.1 kept the key in the connection file alone. The key stays empty if that file
    is lost while a kernel uses it.
    """
    if not member.kernel_key:
        with suppress(OSError):
            member.kernel_key = load(file, _OnlyKey).key
    if not member.kernel_key and member.process is None:
        member.kernel_key = new_key()
    return KernelSockets(folder, file, member.kernel_key, member)


class _OnlyKey(msgspec.Struct):
    key: str


class KernelSockets(msgspec.Struct, frozen=True):
    """How a kernel is reached: ipc sockets in a private folder, and a key; the file tells the kernel.

    A kernel that cannot speak ipc is told its `ports` instead; see `forward`.
    The file lies where nobody tidies up old files. A lost or damaged one is written again.
    """

    folder: Path
    file: Path
    secret: str
    member: Any = None

    @property
    def ports(self) -> dict[str, int]:
        """The TCP ports of a kernel that cannot speak ipc, by channel; none of others."""
        return dict(zip(CHANNELS, self.member.kernel_ports if self.member else (), strict=False))

    @property
    def stem(self) -> str:
        """What the paths of its sockets begin with; kept short, for a path has 107 bytes at most."""
        return str(self.folder / "k")

    @property
    def shown(self) -> Path:
        """The path of the file that is shown to the kernel, and so to everybody: a link, without the session's id."""
        return self.folder / "kernel.json"

    @property
    def front(self) -> str:
        """The same for the sockets at which front ends reach it, through the relay."""
        return str(self.folder / "f")

    def prepare(self) -> None:
        """Make the folder and the file, unless they are as they should be. Errors: OSError, SessionError."""
        if not self.folder.parent.is_dir():  # Made here it would be a folder, and not the link that it is.
            raise LaunchFailed(
                "The folder of the sockets is gone.", hint="It will be back in a second: try again."
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
        """Make way for a kernel."""
        self.prepare()
        self.clear()

    def clear(self) -> None:
        """Remove sockets that a kernel left behind."""
        for path in self.folder.glob("k-*"):
            remove(path)

    def discard(self) -> None:
        """Remove the file and the folder with all sockets."""
        remove(self.file)
        remove(self.folder)

    def bound(self) -> bool:
        """True once the kernel listens."""
        return os.path.exists(f"{self.stem}-{CHANNELS['shell']}")

    def key(self) -> bytes:
        """The key that signs messages. Errors: KernelKeyLost, for without one anybody could send them."""
        if not self.secret:
            raise KernelKeyLost(f"The connection file {self.file} is lost or damaged.")
        return self.secret.encode()


class Run:
    """Code running in a kernel: its messages in the order they came, and how it ended."""

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
        """True once the kernel answered and went idle: nothing more comes."""
        return self.reply is not None and self.idle

    def put(self, message: Message) -> None:
        """Take in a message of the kernel."""
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
        """End it: the kernel is gone."""
        if not self.finished:
            self.reply = {"status": "error", "ename": "SessionEnded", "evalue": why, "traceback": [why]}
            self.idle = True
            self.replied.set()
            self.messages.put_nowait(None)


class KernelLink:
    """Connected to all channels of a kernel; reads them until closed.

    `on_output` sees every message on iopub, whoever caused it, some time after those who wait for it.
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
        self._heard = asyncio.Event()
        self._answered = False
        self._computes = False
        self._early: list[Message] = []
        self._why_closed = ""
        self.closed = asyncio.Event()
        self.times_busy = 0

    @property
    def busy(self) -> bool:
        """Whether it computes. One that has not answered yet may do so since before anybody listened."""
        return not self.closed.is_set() and (self._computes or not self._answered)

    async def open(self) -> dict[str, Any]:
        """Wait until the kernel listens and answers; its kernel_info. Cancel to give up."""
        while not self._connection.bound():  # noqa: ASYNC110
            await asyncio.sleep(_OPEN_SECONDS)
        self._sockets = {name: self._connect(name) for name in ("shell", "stdin", "control")}
        self._iopub = Iopub(self._subscribe(), self._take_output, self._waited_for)
        self._readers = [asyncio.create_task(self._read(name)) for name in self._sockets]
        while True:
            message, run = self._begin("kernel_info_request", {})
            self._pass_on(message)
            await run.replied.wait()
            self._answered = True
            self._runs.pop(run.id, None)
            if await self._subscribed():
                return run.reply or {}

    async def _subscribed(self) -> bool:
        """Whether outputs reach us: a subscription takes effect some time after it is made."""
        try:
            async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                await self._heard.wait()
        except TimeoutError:
            return False
        return True

    def execute(self, code: str, *, stdin: bool = False) -> Run:
        """Run code; it goes on however many look."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": stdin,
            "stop_on_error": False,
        }
        return self._ask("execute_request", content)

    def complete(self, code: str, cursor: int) -> Run:
        """Ask how code could go on at a place in it; `Run.reply` will say."""
        return self._ask("complete_request", {"code": code, "cursor_pos": cursor})

    def keep(self, run: Run) -> None:
        """Look after a run that is none of the kernel's: it, too, ends with the session."""
        self._runs[run.id] = run

    def run(self, id: str) -> Run:
        """A run by its id. Errors: NotRunning if it has ended and been read."""
        try:
            return self._runs[id]
        except KeyError:
            raise NotRunning(
                f"There is no run '{id}' in this session any more.",
                hint="Its output is in the session's journal.",
                field="runId",
            ) from None

    def forget(self, run: Run) -> None:
        """Let go of a run that has been read to its end."""
        self._runs.pop(run.id, None)

    def drop_unread_output(self) -> None:
        """Let go of runs that nobody has asked for in a while; the journal has their output."""
        for run in [*self._runs.values()]:
            if run.messages.idle_seconds() > UNREAD_SECONDS:
                self.forget(run)

    def input(self, run: Run, text: str) -> None:
        """Answer a run that asked for input."""
        run.waiting_input = False
        self._send("stdin", self._session.msg("input_reply", {"value": text}))

    def interrupt(self) -> None:
        """Interrupt by message, for kernels that want it so; one that was not reached yet runs nothing of ours."""
        if "control" in self._sockets:
            self._send("control", self._session.msg("interrupt_request", {}))

    def shutdown(self) -> bool:
        """Ask the kernel to end. False if it was never reached, and cannot be asked."""
        if "control" not in self._sockets:
            return False
        self._send("control", self._session.msg("shutdown_request", {"restart": False}))
        return True

    def close(self, why: str) -> None:
        """Disconnect; runs that have not ended, end."""
        for reader in self._readers:
            reader.cancel()
        for socket in self._sockets.values():
            socket.close(linger=100)
        self._sockets = {}
        if self._iopub is not None:
            self._iopub.close()
        for run in self._runs.values():
            run.abandon(why)
        self._early, self._why_closed = [], why
        self.closed.set()

    def hear_through(self, socket: zmq.Socket[bytes]) -> None:
        """Hear the same at another socket, which stays its owner's."""
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

    def _waited_for(self) -> bool:
        return bool(self._runs)

    def _ask(self, kind: str, content: dict[str, Any]) -> Run:
        """Begin a run. The kernel is asked once it is heard, or it could end the run before, and nobody would know."""
        message, run = self._begin(kind, content)
        if self.closed.is_set():
            run.abandon(self._why_closed)
        else:
            self._early.append(message)
            self._ask_early()
        return run

    def _ask_early(self) -> None:
        while self._early and self._heard.is_set():
            self._pass_on(self._early.pop(0))

    def _begin(self, kind: str, content: dict[str, Any]) -> tuple[Message, Run]:
        message = self._session.msg(kind, content)
        run = self._runs[message["header"]["msg_id"]] = Run(message["header"]["msg_id"])
        return message, run

    def _pass_on(self, message: Message) -> None:
        if self._iopub is not None:
            self._iopub.read()
        self._send("shell", message)

    def _send(self, channel: str, message: Message) -> None:
        """Send a message by the socket itself, so that it still wakes up whoever waits for what arrives there.

        `Session.send` sends by another object for the same socket, which can take the one signal of a message that
        has just arrived: it would stay unread, and all after it.
        """
        self._sockets[channel].send_multipart(self._session.serialize(message))

    async def _read(self, channel: str) -> None:
        socket = self._sockets[channel]
        while True:
            frames = await socket.recv_multipart(copy=True)
            if message := deserialize(frames):
                self._take(message)

    def _take_output(self, message: Message) -> None:
        self._heard.set()
        if self._early:
            asyncio.get_running_loop().call_soon(self._ask_early)
        if message["header"]["msg_type"] == "status":
            self._computes = message["content"].get("execution_state") == "busy"
            self.times_busy += self._computes
        self._on_output(message)
        self._take(message)

    def _take(self, message: Message) -> None:
        run = self._runs.get(message["parent_header"].get("msg_id", ""))
        if run is not None:
            run.put(message)
