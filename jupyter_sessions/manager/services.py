"""Service ports of one session: programs that run inside its limits and listen on private sockets."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from jupyter_sessions.errors import NotFound
from jupyter_sessions.manager.logs import tail
from jupyter_sessions.manager.record import Record
from jupyter_sessions.manager.runtime.launch import launch
from jupyter_sessions.manager.runtime.limits import Cage


class Services:
    """Starts a session's services when they are asked for.

    A service is started once for each base URL, for pages hold absolute links.
    """

    def __init__(
        self,
        record: Record,
        cage: Cage,
        files: Path,
        sockets: Path,
        environment: Callable[[], dict[str, str]],
    ) -> None:
        self._record = record
        self._cage = cage
        self._files = files
        self._sockets = sockets
        self._environment = environment
        self._lock = asyncio.Lock()

    async def start(self, name: str, base_url: str) -> Path:
        """The socket on which a service listens, or soon will. Errors: NotFound, LaunchError."""
        command = self._record.launch.services.get(name)
        if command is None:
            there = ", ".join(self._record.launch.services) or "none"
            raise NotFound(f"The session has no service '{name}'.", hint=f"There are: {there}.", field="app")
        key = f"{name}-{hashlib.sha256(base_url.encode()).hexdigest()[:6]}"
        socket = self._sockets / key
        async with self._lock:
            process = self._record.service_processes.get(key)
            if process is None or not process.child.alive():
                socket.unlink(missing_ok=True)
                await self._launch(key, name, command, socket, base_url)
        return socket

    def log(self, name: str) -> str:
        """The end of what a service printed."""
        return tail(self._log_file(name), 16_384)

    async def _launch(self, key: str, name: str, command: list[str], socket: Path, base_url: str) -> None:
        record = self._record
        values = {"{socket}": str(socket), "{base_url}": base_url, "{cwd}": record.launch.cwd}
        process = await launch(
            [_fill(part, values) for part in command],
            env=self._environment() | self._own_kernel(),
            cwd=record.launch.cwd,
            log=str(self._log_file(name)),
            folder=str(self._files / key),
            cage=self._cage,
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
        (folder / "kernel.json").write_bytes(msgspec.json.encode(spec))
        path = launch_.env.get("JUPYTER_PATH")
        return {"JUPYTER_PATH": ":".join(filter(None, (str(folder.parent.parent), path)))}

    def _log_file(self, name: str) -> Path:
        return self._files / f"service-{name}.log"


def _fill(part: str, values: dict[str, str]) -> str:
    for key, value in values.items():
        part = part.replace(key, value)
    return part
