"""Notebooks on sessions of other machines: a helper process of this user and host relays their messages.

The helper outlives the Jupyter server, as the manager does for sessions on this machine. It gets what it needs to
speak to a backend, secrets included, over a unix socket in a private folder. Whoever started it keeps the connection,
starts it again when it has died, and says again which sessions it relays.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from jupyter_sessions import errors
from jupyter_sessions.backends.credential_store import Kept
from jupyter_sessions.backends.files import locked
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.errors import BackendUnavailable, NotSupported, SessionError
from jupyter_sessions.model import KernelConnection, ProcessId
from jupyter_sessions.wire.detached import start_detached
from jupyter_sessions.wire.files import load
from jupyter_sessions.wire.identity import Identity, here
from jupyter_sessions.wire.places import place, private_folder

PROTOCOL = 1
RELAYS = "relays"
"""The helper's folder in the state folder."""
LINE_BYTES = 128 * 1024**2
"""The longest line of the protocol: a whole journal may be one."""
_START_SECONDS = 30.0
_AGAIN_SECONDS = 1.0
log = logging.getLogger("jupyter_sessions")


class BackendDescription(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a backend: its class, and what it is made with. Holds secrets."""

    module: str
    kind: str
    name: str
    options: dict[str, Any] = {}
    signed_in: Kept | None = None

    def __repr__(self) -> str:
        return f"BackendDescription({self.name})"


class RelayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Let notebooks into a session; see `Backend.connection` for `owner` and `patience`.

    With `outputs` these are asked for instead, and nothing is begun.
    """

    number: int
    backend: BackendDescription
    session: str
    owner: ProcessId | None = None
    patience: float = 0
    outputs: Selection | None = None


class RelayAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, or an error as it is sent over HTTP; `ended` is a session's last word."""

    number: int = 0
    connection: KernelConnection | None = None
    outputs: Outputs | None = None
    error: dict[str, Any] | None = None
    ended: str = ""


class RelayContact(msgspec.Struct, frozen=True, kw_only=True):
    """Where the helper of a user and host listens."""

    identity: Identity
    socket: str


def relay_folder() -> Path:
    """Return the helper's folder on this host. Errors: BackendUnavailable."""
    try:
        return private_folder(place().folder / RELAYS)
    except SessionError as error:
        raise BackendUnavailable(f"Notebooks cannot be relayed: {error.message}", hint=error.hint) from error


def contact_file(folder: Path) -> Path:
    """Return the file that says where the helper listens; another protocol has a helper of its own."""
    return folder / f"{here().hostname}-{PROTOCOL}.json"


def find_helper(folder: Path) -> RelayContact | None:
    """Return the helper that runs, if any."""
    try:
        contact = load(contact_file(folder), RelayContact)
    except OSError:
        return None
    return contact if contact.identity.alive() else None


def start_helper() -> RelayContact:
    """Return the helper that runs, or start it. Errors: BackendUnavailable with the reason."""
    folder = relay_folder()
    with locked(folder / "start.lock"):
        if contact := find_helper(folder):
            return contact
        path = folder / "relays.log"
        process = start_detached([sys.executable, "-m", "jupyter_sessions.kernels.relay_host"], path)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            if contact := find_helper(folder):
                return contact
            time.sleep(0.01)
    raise BackendUnavailable("The process that relays notebooks did not start.", hint=f"Its log is {path}.")


class RelayClient:
    """One backend's connection to the helper; all methods are called in one loop."""

    def __init__(self, describe: Callable[[], BackendDescription]) -> None:
        self._describe = describe
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[RelayAnswer]] = {}
        self._relayed: dict[str, RelayRequest] = {}

    async def connection(self, id: str, owner: ProcessId | None, patience: float) -> KernelConnection:
        """Return where notebooks reach a session. Errors: those of the backend, BackendUnavailable."""
        if sys.platform == "win32":
            raise NotSupported("Notebooks on remote sessions need Linux or macOS.", hint="Use WSL.")
        request = RelayRequest(
            number=next(self._numbers),
            backend=self._describe(),
            session=id,
            owner=owner,
            patience=patience,
        )
        answer = await self._ask(request)
        if answer.error is not None:
            raise errors.from_wire(answer.error, 500)
        if answer.connection is None:
            raise BackendUnavailable("The process that relays notebooks gave no answer.", hint="Try again.")
        known = self._relayed.get(id)
        if owner is None and known is not None:  # It stays its owner's.
            request = msgspec.structs.replace(request, owner=known.owner)
        self._relayed[id] = request
        return answer.connection

    async def outputs(self, id: str, which: Selection) -> Outputs:
        """Return what a session printed since notebooks were let in; nothing if none were."""
        if self._writer is None and await asyncio.to_thread(lambda: find_helper(relay_folder())) is None:
            return Outputs([])
        request = RelayRequest(
            number=next(self._numbers), backend=self._describe(), session=id, outputs=which
        )
        answer = await self._ask(request)
        if answer.error is not None:
            raise errors.from_wire(answer.error, 500)
        return answer.outputs or Outputs([])

    async def close(self) -> None:
        """Disconnect; notebooks stay connected."""
        self._relayed.clear()
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    async def _ask(self, request: RelayRequest) -> RelayAnswer:
        async with self._connecting:
            if self._writer is None:
                await self._connect()
        assert self._writer is not None  # noqa: S101
        waiting: asyncio.Future[RelayAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[request.number] = waiting
        try:
            self._writer.write(msgspec.json.encode(request) + b"\n")
            await self._writer.drain()
            return await waiting
        except ConnectionError as error:
            raise _lost() from error
        finally:
            self._waiting.pop(request.number, None)

    async def _connect(self) -> None:
        contact = await asyncio.to_thread(start_helper)
        try:
            reader, self._writer = await asyncio.open_unix_connection(contact.socket, limit=LINE_BYTES)
        except OSError as error:
            raise _lost() from error
        self._listening = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        with suppress(ConnectionError, ValueError, msgspec.MsgspecError):
            while line := await reader.readline():
                answer = msgspec.json.decode(line, type=RelayAnswer)
                self._relayed.pop(answer.ended, None)
                waiting = self._waiting.get(answer.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
                if answer.ended and not (self._relayed or self._waiting):
                    break  # The helper ends with its last client and session.
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(_lost())
        if self._relayed:
            self._listening = asyncio.create_task(self._relay_again())

    async def _relay_again(self) -> None:
        """The helper has died: have the next one relay the same sessions, however long that takes."""
        left = [*self._relayed]
        while left:
            request = self._relayed.get(left[0])
            if request is None or await self._relayed_again(request):
                left.pop(0)
            else:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _relayed_again(self, request: RelayRequest) -> bool:
        """Return whether the helper relays a session again, or never will."""
        number, backend = next(self._numbers), self._describe()
        again = msgspec.structs.replace(request, number=number, backend=backend, patience=0)
        try:
            answer = await self._ask(again)
        except SessionError as error:
            log.warning("Notebooks on a session of '%s' are cut off: %s", backend.name, error)
            return False
        if answer.error is not None and not isinstance(
            errors.from_wire(answer.error, 500), BackendUnavailable
        ):
            self._relayed.pop(request.session, None)
            return True
        return answer.error is None


def _lost() -> BackendUnavailable:
    return BackendUnavailable("The process that relays notebooks has ended.", hint="Try again.")
