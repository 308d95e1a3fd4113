"""Forwards ipc sockets to a kernel that listens on loopback TCP ports.

So all other code can use ipc for every kernel. No byte is sent to a port before one of the session's processes is
known to have accepted the connection: another user of the machine could take the port first, or when the kernel
ends. ZeroMQ's protocol is the same over both. Requests and replies also pass through `Envelopes`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path

from jupyter_sessions.channels.envelopes import CHANNELS_WITH_REPLIES, Envelopes
from jupyter_sessions.channels.relay_addresses import CHANNELS
from jupyter_sessions.manager.runtime.peers import Pids, check_peer, listening_address
from jupyter_sessions.wire.files import remove

log = logging.getLogger("jupyter_sessions")
_LOOK_SECONDS = 0.05
_CHECK_SECONDS = 10.0
_PAUSE_SECONDS = 0.2
"""Limits how often a reconnecting client makes us look up the owner of a port."""
_CHUNK = 1 << 16

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class TcpForwarder:
    """The ipc sockets at `stem` of one kernel, from the time it listens on its TCP ports until `close`.

    `ports` are the kernel's ports by channel; `pids` returns the processes that may listen there.
    """

    def __init__(self, stem: str, ports: Mapping[str, int], pids: Pids) -> None:
        self._stem = stem
        self._ports = dict(ports)
        self._pids = pids
        self._inner = f"{stem}t"
        self._envelopes: Envelopes | None = None
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._warned = False
        self._starting = asyncio.create_task(self._start())

    def close(self) -> None:
        """End all connections and remove the sockets."""
        self._starting.cancel()
        if self._envelopes is not None:
            self._envelopes.close()
        for server in self._servers:
            server.close()
        for connection in self._connections:
            connection.cancel()
        for channel, number in CHANNELS.items():
            remove(self._path(channel))
            remove(Path(f"{self._stem}-{number}"))

    def _path(self, channel: str) -> Path:
        stem = self._inner if channel in CHANNELS_WITH_REPLIES else self._stem
        return Path(f"{stem}-{CHANNELS[channel]}")

    async def _start(self) -> None:
        addresses = {channel: await self._listening(port) for channel, port in self._ports.items()}
        for channel, address in addresses.items():
            client = self._serve((address, self._ports[channel]))
            remove(self._path(channel))
            self._servers.append(await asyncio.start_unix_server(client, self._path(channel)))
        # The kernel counts as listening once its shell socket exists, so that one is created last.
        self._envelopes = Envelopes(self._stem, self._inner)

    async def _listening(self, port: int) -> str:
        """Wait until the kernel listens on a port, and return the address."""
        while True:
            if address := await asyncio.to_thread(listening_address, port, [*self._pids()]):
                return address
            await asyncio.sleep(_LOOK_SECONDS)

    def _serve(self, address: tuple[str, int]) -> Client:
        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._connect(reader, writer, address))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

        return client

    async def _connect(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: tuple[str, int]
    ) -> None:
        try:
            ours, theirs = await asyncio.open_connection(*address)
            try:
                await check_peer(theirs.get_extra_info("socket"), self._pids, _CHECK_SECONDS)
                await _both_ways((reader, theirs), (ours, writer))
            finally:
                theirs.close()
        except (OSError, TimeoutError) as error:
            if not self._warned:  # An ended kernel is tried until its end is noticed: one warning is enough.
                self._warned = True
                log.warning("a kernel cannot be reached over TCP: %s", error)
            await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            writer.close()


async def _both_ways(*ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """TcpForwarder bytes until either end closes."""
    tasks = [asyncio.create_task(_pass_on(*way)) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
