"""Service ports of one session: programs that run inside its limits and listen on private sockets."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import msgspec

from jupyter_sessions.errors import NotFound
from jupyter_sessions.manager.logs import tail
from jupyter_sessions.manager.member import Member
from jupyter_sessions.manager.record import Record
from jupyter_sessions.manager.runtime import ports
from jupyter_sessions.manager.runtime.launch import launch, stop
from jupyter_sessions.manager.runtime.peers import listening_address
from jupyter_sessions.manager.session_port import SessionPort
from jupyter_sessions.model import Endpoint
from jupyter_sessions.wire.files import remove, write_private

_GRACE_SECONDS = 2.0


class Services:
    """Starts a session's services when they are asked for.

    A service is started once for each base URL, for pages hold absolute links.
    """

    def __init__(self, record: Record, member: Member) -> None:
        self._record = record
        self._member = member
        self._files = member.folder
        self._sockets = member.connection.folder
        self._lock = asyncio.Lock()
        self._ports: dict[int, SessionPort] = {}

    async def start(self, name: str, base_url: str) -> Endpoint:
        """Where a service listens, or soon will. Errors: NotFound, NotRunning, LaunchError."""
        if name in map(str, self._record.preopen_ports):
            return self._open_port(int(name))
        command = self._command(name)
        key = f"{name}-{hashlib.sha256(base_url.encode()).hexdigest()[:6]}"
        socket = self._sockets / key
        async with self._lock:
            process = self._record.service_processes.get(key)
            if process is None or not process.child.alive():
                remove(socket)
                await self._launch(key, name, command, socket, base_url)
        return Endpoint(socket=str(socket))

    def _open_port(self, port: int) -> Endpoint:
        """Where connections to the session's own program are handed out, which listens there or will."""
        one = self._ports.setdefault(port, SessionPort(port, self._sockets / f"port-{port}", self._pids))
        one.open()
        return Endpoint(socket=str(one.path), at_root=True, hands_over=True)

    def _pids(self) -> list[int]:
        """The session's processes, daemons among them as far as they are known."""
        cage = self._member.cage
        return list(dict.fromkeys([*self._member.pids(), *(cage.pids() if cage else ())]))

    async def close(self) -> None:
        """Hand out no more connections to the session's ports."""
        ports, self._ports = self._ports, {}
        for one in ports.values():
            await one.close()

    async def stop(self, name: str) -> None:
        """End a service, under whatever base URL it was started. Errors: NotFound."""
        self._command(name)
        async with self._lock:
            for key, process in [*self._record.service_processes.items()]:
                if key.rpartition("-")[0] == name:
                    await stop(process, _GRACE_SECONDS)
                    del self._record.service_processes[key]
                    remove(self._sockets / key)

    def serves(self, endpoint: Endpoint) -> bool:
        """Whether a service that was started there has not ended; a user's own program may come any time."""
        if endpoint.hands_over:
            return True
        assert endpoint.socket is not None  # noqa: S101
        process = self._record.service_processes.get(Path(endpoint.socket).name)
        return process is not None and process.child.alive()

    def _command(self, name: str) -> list[str]:
        services = self._record.launch.services
        if name not in services:
            there = ", ".join([*services, *map(str, self._record.preopen_ports)]) or "none"
            raise NotFound(f"The session has no service '{name}'.", hint=f"There are: {there}.", field="app")
        return services[name]

    def log(self, name: str) -> str:
        """The end of what a service printed, or why a port waits; "" if there is no such service."""
        if name in map(str, self._record.preopen_ports):
            return self._about_port(int(name))
        return tail(self._log_file(name), 16_384) if name in self._record.launch.services else ""

    def _about_port(self, port: int) -> str:
        if listening_address(port, self._pids()) or not ports.taken(port):
            return ""
        return f"Port {port} of this machine is held by a program that is not of this session. End that program, or use another port."

    async def _launch(self, key: str, name: str, command: list[str], socket: Path, base_url: str) -> None:
        record = self._record
        values = {"{socket}": str(socket), "{base_url}": base_url, "{cwd}": record.launch.cwd}
        process = await launch(
            [_fill(part, values) for part in command],
            env=self._member.environment() | self._own_kernel(),
            cwd=record.launch.cwd,
            log=str(self._log_file(name)),
            folder=str(self._files / key),
            cage=self._member.cage,
        )
        record.service_processes[key] = process

    def _own_kernel(self) -> dict[str, str]:
        """Makes the session's own environment the kernel that an inner Jupyter starts."""
        launch_ = self._record.launch
        name = "python3" if launch_.language == "python" else Path(self._record.image).name
        folder = self._files / "jupyter" / "kernels" / name
        folder.mkdir(parents=True, exist_ok=True)
        spec = {
            "argv": launch_.argv,
            "display_name": launch_.display_name,
            "language": launch_.language,
            "interrupt_mode": launch_.interrupt_mode,
        }
        write_private(folder / "kernel.json", msgspec.json.encode(spec))
        path = launch_.env.get("JUPYTER_PATH")
        return {"JUPYTER_PATH": ":".join(filter(None, (str(folder.parent.parent), path)))}

    def _log_file(self, name: str) -> Path:
        return self._files / f"service-{name}.log"


def _fill(part: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        part = part.replace(key, value)
    return part
