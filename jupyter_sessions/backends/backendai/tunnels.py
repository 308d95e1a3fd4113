"""Ways to services of remote sessions: sockets of this machine, each connection through a WebSocket of its own.

Source: `/stream/session/{ref}/tcpproxy` of managers 23.09 to 26.8: binary messages hold the bytes both ways.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from jupyter_sessions.backends.parsing import understood
from jupyter_sessions.errors import InvalidRequest, NotFound, NotSupported

if TYPE_CHECKING:
    from jupyter_sessions.backends.backendai.http import ManagerClient, WebSocket

_CHUNK = 256 * 1024
_LONGEST = 90
TunnelKey = tuple[str, str]


class Tunnels:
    """The sockets of one backend, in a private folder."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._servers: dict[TunnelKey, tuple[str, asyncio.Server]] = {}
        self._params: dict[TunnelKey, dict[str, str]] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._opening: dict[TunnelKey, asyncio.Lock] = {}
        self._numbers = itertools.count()

    async def open(
        self, client: ManagerClient, id: str, name: str, arguments: Mapping[str, object] | None = None
    ) -> str:
        """Return the path of a socket that leads to a service, which the first connection starts with the `arguments`.

        Errors: NotFound listing the services there are; NotSupported on Windows; as `ManagerClient.request`.
        """
        key = (id, name)
        async with self._opening.setdefault(key, asyncio.Lock()):
            wanted = {"app": name} | ({"arguments": json.dumps(dict(arguments))} if arguments else {})
            if key in self._servers and arguments and self._params[key] != wanted:
                self._servers.pop(key)[1].close()
            if key not in self._servers:
                await check_service(client, id, name, {})
                self._servers[key] = await self._listen(client, f"/session/{quote(id)}/tcpproxy", wanted)
                self._params[key] = wanted
            return self._servers[key][0]

    async def close(self) -> None:
        """Close all sockets and connections."""
        servers, self._servers = self._servers, {}
        for _, server in servers.values():
            server.close()
        for task in [*self._connections]:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _listen(
        self, client: ManagerClient, path: str, params: dict[str, str]
    ) -> tuple[str, asyncio.Server]:
        if not hasattr(asyncio, "start_unix_server"):
            raise NotSupported("Services need Linux or macOS here.", hint="Use WSL.")
        if self._folder is None:
            self._folder = _folder()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101
            self._connections.add(task)
            try:
                await _join(client, path, params, reader, writer)
            finally:
                self._connections.discard(task)

        socket = str(Path(self._folder.name) / str(next(self._numbers)))
        return socket, await asyncio.start_unix_server(connected, socket, limit=_CHUNK)


def _folder() -> tempfile.TemporaryDirectory[str]:
    """Create a private folder with a short path, because paths of sockets have at most 107 bytes."""
    place = None if len(tempfile.gettempdir()) < _LONGEST - 30 else "/tmp"  # noqa: S108 - made anew, 0700
    return tempfile.TemporaryDirectory(prefix="jupyter-sessions-", dir=place)


async def check_service(client: ManagerClient, id: str, name: str, arguments: Mapping[str, str]) -> None:
    """Check that a session has a service that takes these arguments. Errors: NotFound, InvalidRequest."""
    apps = await client.request("GET", f"/stream/session/{quote(id)}/apps")
    with understood(client.who):
        allowed = {str(app["name"]): [*map(str, app.get("allowed_arguments") or ())] for app in apps}
    if name not in allowed:
        there = ", ".join(allowed) or "none"
        raise NotFound(
            f"The session has no service '{name}'.", hint=f"Choose from: {there}.", field="service"
        )
    if wrong := arguments.keys() - set(allowed[name]):
        takes = ", ".join(allowed[name]) or "none"
        raise InvalidRequest(
            f"The service '{name}' does not take the argument '{min(wrong)}'.",
            hint=f"It takes: {takes}.",
            field="arguments",
        )


async def _join(
    client: ManagerClient,
    path: str,
    params: dict[str, str],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Pass bytes both ways until either side ends; the other one is closed then."""
    socket = await client.websocket(path, params)
    try:
        if socket is not None:
            ways = {asyncio.create_task(_up(reader, socket)), asyncio.create_task(_down(socket, writer))}
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
    finally:
        writer.close()
        if socket is not None:
            await socket.close()


async def _up(reader: asyncio.StreamReader, socket: WebSocket) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            await socket.send_bytes(data)


async def _down(socket: WebSocket, writer: asyncio.StreamWriter) -> None:
    import aiohttp

    with suppress(ConnectionError):
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                writer.write(message.data)
                await writer.drain()
