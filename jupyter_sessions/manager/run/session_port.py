"""A port on which a session's own program listens, with connections only to that program.

The manager makes each connection because only it knows the session's processes. It checks which process accepted the
connection, and hands it over to the Jupyter server on a private unix socket. No byte is sent to a foreign program.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.tasks import Tasks
from jupyter_sessions.manager.runtime import ports
from jupyter_sessions.manager.runtime.peers import Pids, check_peer, listening_address
from jupyter_sessions.wire.descriptors import send_connection

_BACKLOG = 128
_CONNECT_SECONDS = 10.0
_FULL_SECONDS = 1.0


class SessionPort:
    """One port of a session; `pids` returns the session's processes, `path` is the path of the unix socket."""

    def __init__(self, port: int, path: Path, pids: Pids) -> None:
        self.port = port
        self.path = path
        self._pids = pids
        self._listener: socket.socket | None = None
        self._tasks = Tasks()

    def open(self) -> None:
        """Hand out connections to clients of the unix socket, until closed."""
        if self._listener is not None and self.path.exists():
            return
        self.path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        self._listener.bind(str(self.path))
        self._listener.listen(_BACKLOG)
        self._tasks.start(self._serve(self._listener))

    async def close(self) -> None:
        """Stop handing out connections; existing connections continue."""
        await self._tasks.close()
        self.path.unlink(missing_ok=True)

    async def connect(self) -> socket.socket:
        """Return a connection that the session's own program has accepted. Waits as long as the program takes.

        Errors: ConnectionRefusedError if the session does not listen; ConnectionAbortedError if another program accepted.
        """
        address = await asyncio.to_thread(listening_address, self.port, self._pids())
        if address is None:
            raise ConnectionRefusedError(f"Nothing of the session listens on port {self.port}.")
        connection = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        try:
            connection.setblocking(False)
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(connection, (address, self.port))
            await check_peer(connection, self._pids)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with listener:
            while True:
                try:
                    channel, _ = await loop.sock_accept(listener)
                except OSError:  # No descriptor is left; clients keep waiting.
                    await asyncio.sleep(_FULL_SECONDS)
                    continue
                self._tasks.start(self._hand_over(channel))

    async def _hand_over(self, channel: socket.socket) -> None:
        """Connect and hand the connection over, unless the client leaves before; without a connection, hang up."""
        gone = asyncio.create_task(asyncio.get_running_loop().sock_recv(channel, 1))
        made = asyncio.create_task(self.connect())
        with channel:
            try:
                await asyncio.wait({gone, made}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (gone, made):
                    task.cancel()
                await asyncio.gather(gone, made, return_exceptions=True)
                if not made.cancelled() and made.exception() is None:
                    with made.result() as connection, suppress(OSError):
                        send_connection(channel, connection)


def check_preopened(wanted: Iterable[int], live: Iterable[Record], earlier: Record | None = None) -> None:
    """Check ports, which all sessions of this machine share; those of the `earlier` session will be free in time.

    Errors: InvalidRequest that names who uses a port.
    """
    holders = {port: record.name for record in live if record is not earlier for port in record.preopen_ports}
    leaving = earlier.preopen_ports if earlier else []
    for port in wanted:
        if port in leaving and port not in holders:
            continue
        if port in holders or ports.taken(port):
            holder = f"the session '{holders[port]}'" if port in holders else "another program"
            raise InvalidRequest(
                f"Port {port} of this machine is used by {holder}.",
                hint="Use another port.",
                field="preopen_ports",
            )
