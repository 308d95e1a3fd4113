"""Serve the clients of this process, and hold the sessions that it relays."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import msgspec

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.credential_store import CredentialStore
from jupyter_sessions.backends.relay_client import LINE_BYTES, BackendDescription, RelayAnswer, RelayRequest
from jupyter_sessions.errors import SessionError
from jupyter_sessions.kernels.relay_host.relayed_session import RelayedSession, check_usable
from jupyter_sessions.model import USABLE, KernelConnection

log = logging.getLogger("jupyter_sessions")
IDLE_SECONDS = 3.0
"""Seconds that this process stays without clients and sessions."""


class RelayHost:
    """Serves clients at a unix socket until there is nothing to do, or `stop` is set.

    `folder` holds what outlives this process, `sockets` the sockets; both are private. `grace` is how many seconds
    sessions stay whose owner has ended.
    """

    def __init__(self, folder: Path, sockets: Path, grace: float) -> None:
        self._folder = folder
        self._grace = grace
        self._sockets = sockets
        self._backends: dict[bytes, Backend] = {}
        self._sessions: dict[tuple[str, str], RelayedSession] = {}
        self._opening: dict[tuple[str, str], asyncio.Lock] = {}
        self._clients: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()
        self.stop = asyncio.Event()

    async def serve(self, path: Path) -> None:
        """Serve clients at a socket. Errors: OSError."""
        server = await asyncio.start_unix_server(self._talk, path, limit=LINE_BYTES)
        stopping = asyncio.create_task(self.stop.wait())
        async with server:
            while not stopping.done():
                self._changed.clear()
                busy = self._sessions or self._clients
                changed = asyncio.create_task(self._changed.wait())
                timeout = None if busy else IDLE_SECONDS
                done, _ = await asyncio.wait(
                    {changed, stopping}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
                changed.cancel()
                if not done:
                    break
        stopping.cancel()

    async def close(self) -> None:
        """Close the relays, which the next helper opens again."""
        for session in self._sessions.values():
            await session.close()
        for backend in self._backends.values():
            await backend.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        self._changed.set()
        answering = set[asyncio.Task[None]]()
        try:
            while line := await reader.readline():
                request = msgspec.json.decode(line, type=RelayRequest)
                task = asyncio.create_task(self._answer(request, writer))
                answering.add(task)
                task.add_done_callback(answering.discard)
        except (ConnectionError, ValueError, msgspec.MsgspecError):
            log.warning("A client broke off, or asked for something unknown.")
        finally:
            self._clients.discard(writer)
            self._changed.set()
            writer.close()

    async def _answer(self, request: RelayRequest, writer: asyncio.StreamWriter) -> None:
        try:
            if request.outputs is not None:
                session = self._sessions.get((request.backend.name, request.session))
                outputs = None if session is None else await session.outputs(request.outputs)
                answer = RelayAnswer(number=request.number, outputs=outputs)
            else:
                answer = RelayAnswer(number=request.number, connection=await self._connection(request))
        except SessionError as error:
            answer = RelayAnswer(number=request.number, error=error.to_wire())
        except Exception as error:  # A backend of somebody else's.
            log.exception("A session cannot be relayed.")
            answer = RelayAnswer(number=request.number, error=SessionError(str(error)).to_wire())
        writer.write(msgspec.json.encode(answer) + b"\n")

    async def _connection(self, request: RelayRequest) -> KernelConnection:
        key = (request.backend.name, request.session)
        backend = self._backend(request.backend)
        async with self._opening.setdefault(key, asyncio.Lock()):
            session = self._sessions.get(key)
            if session is None:
                row = await backend.get(request.session)
                check_usable(row)
                if (
                    row.status in USABLE
                ):  # Say now what nobody could say in a notebook: that it has no kernel.
                    await backend.kernel_endpoint(row.id)
                name = hashlib.sha256("\0".join(key).encode()).hexdigest()[:8]
                session = self._sessions[key] = RelayedSession(
                    backend,
                    row,
                    folder=self._folder / name,
                    sockets=self._sockets / name,
                    grace=self._grace,
                    over=lambda: self._end(key),
                )
            session.backend = backend  # With the credentials of now.
            return session.connection(request.owner, request.patience)

    def _end(self, key: tuple[str, str]) -> None:
        self._sessions.pop(key, None)
        self._opening.pop(key, None)
        self._changed.set()
        for writer in self._clients:
            writer.write(msgspec.json.encode(RelayAnswer(ended=key[1])) + b"\n")

    def _backend(self, description: BackendDescription) -> Backend:
        key = hashlib.sha256(msgspec.json.encode(description)).digest()
        if key not in self._backends:
            self._backends[key] = made(description)
        return self._backends[key]


def made(description: BackendDescription) -> Backend:
    """Return the backend that another process of this user described."""
    kind: type[Backend] = attrgetter(description.kind)(import_module(description.module))
    backend = kind(description.name, **description.options)
    if description.signed_in is not None:
        backend.credential_store = CredentialStore(description.name, description.signed_in)
    return backend
