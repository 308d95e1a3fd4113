"""The services of one session: programs inside its limits that listen on private sockets."""

from __future__ import annotations

import asyncio
import hashlib
import math
from pathlib import Path

import msgspec

from jupyter_sessions.amounts import human_size
from jupyter_sessions.errors import NoRoom, NotFound
from jupyter_sessions.manager.core.changes import ServiceEnded
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.run.logs import tail
from jupyter_sessions.manager.run.member import SERVICE, Member
from jupyter_sessions.manager.run.session_port import SessionPort
from jupyter_sessions.manager.runtime import ports
from jupyter_sessions.manager.runtime.peers import listening_address
from jupyter_sessions.model import Endpoint
from jupyter_sessions.wire.files import remove, write_private
from jupyter_sessions.wire.proxy.rebase import SERVICE_PATH

_GRACE_SECONDS = 2.0
_NEEDS = {"jupyter": 110 << 20}
_LEAST = 32 << 20
"""The bytes that an unknown service needs at least: an interpreter and a small web server."""


class ServiceLauncher:
    """Starts a session's services on request.

    A service runs once for all clients, whose browsers see it under different paths. Its pages hold absolute links, so
    it gets a base path of its own, which the proxies translate (`wire.proxy.rebase`).
    """

    def __init__(self, record: Record, member: Member) -> None:
        self._record = record
        self._member = member
        self._runtime = member.runtime
        self._files = member.folder
        self._sockets = member.connection.folder
        self._lock = asyncio.Lock()
        self._ports: dict[int, SessionPort] = {}

    async def start(self, name: str, *, forced: bool = False) -> Endpoint:
        """Start a service if needed, and return where it listens. Errors: NotFound, NoRoom unless `forced`, LaunchError."""
        if name in map(str, self._record.preopen_ports):
            return self._open_port(int(name))
        command = self._command(name)
        socket = self._sockets / f"{SERVICE}{name}"
        # A path that occurs nowhere else, so that it can be recognised in pages.
        digest = hashlib.sha256(f"{self._record.id}/{name}".encode()).hexdigest()
        base_url = f"{SERVICE_PATH}{digest[:16]}/"
        async with self._lock:
            process = self._record.service_processes.get(socket.name)
            if process is None or not self._runtime.alive(process):
                await self._end_over_memory(name)
                if not forced:
                    self._check_room(name)
                remove(socket)
                await self._launch(name, command, socket, base_url)
        return Endpoint(socket=str(socket), base_url=base_url)

    # Memory, which services share with the session.

    def _check_room(self, name: str) -> None:
        """Check that there is memory for a service. Errors: NoRoom."""
        record, limits_group = self._record, self._member.limits_group
        limit = int(record.member_slots["mem"])
        left = max(0, limit - (limits_group.usage().mem if limits_group else 0))
        needs = _NEEDS.get(name, _LEAST)
        why = record.ended_services.get(name, "")
        if not why and left >= needs:
            return
        amount = human_size(float(limit))
        need = f"'{name}' needs about {human_size(needs)}"
        message = f"{need}, and session '{record.name}' has {human_size(left)} left of its {amount}."
        enough = human_size(2.0 ** math.ceil(math.log2(max(limit - left + needs, limit + 1))))
        raise NoRoom(
            f"'{name}' was ended: {why}." if why else message,
            hint=f"Start it anyway, or create a session with {enough}. If memory runs out, '{name}' is ended first.",
            field="app",
            data={"needs": needs, "left": left, "limit": limit},
        )

    async def end_those_over_memory(self) -> None:
        """End services of which a process was killed because the session ran out of memory."""
        async with self._lock:
            for name in self._record.launch.services:
                await self._end_over_memory(name)

    async def _end_over_memory(self, name: str) -> None:
        process = self._record.service_processes.get(f"{SERVICE}{name}")
        limits_group = self._member.limits_group
        if process is None or limits_group is None or not limits_group.service(name).over_memory():
            return
        await self._runtime.stop(process, 0)
        limit = human_size(float(self._record.member_slots["mem"]))
        self._forget(name, ServiceEnded(name, f"the session was over its {limit}"))

    def _forget(self, name: str, *why: ServiceEnded) -> None:
        key = f"{SERVICE}{name}"
        self._member.remove_process(key, *why)
        remove(self._sockets / key)
        if self._member.limits_group is not None:
            self._member.limits_group.service(name).remove()

    def _open_port(self, port: int) -> Endpoint:
        """Return the endpoint of a port on which a user's own program listens or will listen."""
        one = self._ports.setdefault(port, SessionPort(port, self._sockets / f"port-{port}", self._pids))
        one.open()
        return Endpoint(socket=str(one.path), at_root=True, hands_over=True)

    def _pids(self) -> list[int]:
        """Return the session's processes, including known daemons."""
        limits_group = self._member.limits_group
        return list(dict.fromkeys([*self._member.pids(), *(limits_group.pids() if limits_group else ())]))

    async def close(self) -> None:
        """Stop serving the session's ports."""
        ports, self._ports = self._ports, {}
        for one in ports.values():
            await one.close()

    async def stop(self, name: str) -> None:
        """End a service. Errors: NotFound."""
        self._command(name)
        async with self._lock:
            process = self._record.service_processes.get(f"{SERVICE}{name}")
            if process is not None:
                await self._runtime.stop(process, _GRACE_SECONDS)
                self._forget(name)

    def serves(self, endpoint: Endpoint) -> bool:
        """Return whether a service still runs. A port counts as served, because the user's program may start any time."""
        if endpoint.hands_over:
            return True
        assert endpoint.socket is not None  # noqa: S101
        process = self._record.service_processes.get(Path(endpoint.socket).name)
        return process is not None and self._runtime.alive(process)

    def _command(self, name: str) -> list[str]:
        services = self._record.launch.services
        if name not in services:
            there = ", ".join([*services, *map(str, self._record.preopen_ports)]) or "none"
            raise NotFound(
                f"The session has no service '{name}'.", hint=f"Choose from: {there}.", field="app"
            )
        return services[name]

    def log(self, name: str) -> str:
        """Return the end of a service's log, or why a port does not answer; "" if there is no such service."""
        if name in map(str, self._record.preopen_ports):
            return self._about_port(int(name))
        return tail(self._log_file(name), 16_384) if name in self._record.launch.services else ""

    def _about_port(self, port: int) -> str:
        if listening_address(port, self._pids()) or not ports.taken(port):
            return ""
        return f"Port {port} of this machine is used by a program outside of this session. End that program, or use another port."

    async def _launch(self, name: str, command: list[str], socket: Path, base_url: str) -> None:
        record = self._record
        limits_group = self._member.limits_group.service(name) if self._member.limits_group else None
        if limits_group is not None:
            limits_group.remove()  # Resets the counters of an earlier process.
        values = {"{socket}": str(socket), "{base_url}": base_url, "{cwd}": record.launch.cwd}
        process = await self._runtime.launch(
            [_fill(part, values) for part in command],
            env=self._member.environment() | self._own_kernel(),
            cwd=record.launch.cwd,
            log=str(self._log_file(name)),
            folder=str(self._files / socket.name),
            limits_group=limits_group,
        )
        self._member.add_process(socket.name, process, name)

    def _own_kernel(self) -> dict[str, str]:
        """Return variables that make the session's own environment the default kernel of a Jupyter server in it."""
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
