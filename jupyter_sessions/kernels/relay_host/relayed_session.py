"""Relay the notebooks of one session: fixed addresses for them, and a gateway to its kernel while there is one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import zmq
from msgspec import structs

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.channels import journal
from jupyter_sessions.channels.backlog import Backlog
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.channels.kernel_endpoints import KernelEndpoint
from jupyter_sessions.channels.kernel_gateway import KernelGateway
from jupyter_sessions.channels.messages import deserialize
from jupyter_sessions.channels.relay import Relay
from jupyter_sessions.channels.relay_addresses import front_of
from jupyter_sessions.channels.relay_targets import ZmqBackEnd
from jupyter_sessions.channels.sockets import read_all
from jupyter_sessions.channels.zmq_channels import guarded
from jupyter_sessions.errors import NotFound, NotRunning, NotSupported, SessionError, SessionNotFound
from jupyter_sessions.model import (
    USABLE,
    KernelConnection,
    ProcessId,
    SessionInfo,
    because,
    standing,
    status_clause,
    waiting,
)
from jupyter_sessions.wire.files import read, remove, write_private
from jupyter_sessions.wire.identity import Identity, here
from jupyter_sessions.wire.places import private_folder

log = logging.getLogger("jupyter_sessions")
LEASE_SECONDS = 120.0
_OWNER_SECONDS = 2.0
_TIDY_SECONDS = 1.0
_RETURN_SECONDS = 0.5
"""Seconds for front ends to reconnect to the sockets of a helper that was killed."""
_SOONEST_SECONDS = 0.5
_BATCH_SECONDS = 0.05
"""Seconds in which messages are collected for the journal, so that notebooks are not slowed by each of them."""


class RelayedSession:
    """The relay of one session, from `connection` on until the session has ended or `close` is called.

    What outlives this process is in `folder`: the key, messages that wait for the kernel, requests without a reply.
    The sockets are in `sockets`. A session whose owner ends is ended `grace` seconds later. `over` is called once it
    has ended.
    """

    def __init__(
        self,
        backend: Backend,
        row: SessionInfo,
        *,
        folder: Path,
        sockets: Path,
        grace: float,
        over: Callable[[], None],
    ) -> None:
        self.backend = backend
        self._row = row
        self._folder = private_folder(folder)
        self._sockets = private_folder(sockets)
        self._grace = grace
        self._over = over
        self._again = (self._folder / "key").exists()
        self._key = self._find_key()
        self._identity = hashlib.sha256(self._key.encode()).hexdigest()[:16]
        self._gateway: KernelGateway | None = None
        self._connected = False
        self._gone = ""
        self._owner: Identity | None = None
        self._owner_task: asyncio.Task[None] | None = None
        self._start_by = float("inf")
        self._ending = False
        self._wake = asyncio.Event()
        self._journal = journal.Journal(self._folder / journal.FOLDER)
        if self._again:
            self._journal.resume()
        self._relay = self._listen()
        self._loop = asyncio.get_running_loop()
        self._heard_fd = cast(int, self._relay.heard.getsockopt(zmq.FD))
        self._reading: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._heard_fd, self._read_soon)
        self._tasks = [
            asyncio.create_task(self._look_after()),
            asyncio.create_task(self._tidy()),
        ]

    def connection(self, owner: ProcessId | None, patience: float) -> KernelConnection:
        """Return the addresses for front ends; an `owner` takes over the lease."""
        if owner is not None:
            self._own(Identity(*structs.astuple(owner)), patience)
        return front_of(str(self._sockets / "f"), self._key, owner=owner is not None)

    async def outputs(self, which: Selection) -> Outputs:
        """Return what was printed while this relayed the session, by execution."""
        return await asyncio.to_thread(journal.read, self._folder / journal.FOLDER, which, live=True)

    async def close(self) -> None:
        """Close the relay, which a later process opens again; the session stays."""
        for task in (*self._tasks, self._owner_task):
            if task is not None:
                task.cancel()
        await self._disconnect()
        self._stop_reading()
        await asyncio.to_thread(self._relay.close)

    def _find_key(self) -> str:
        with contextlib.suppress(OSError):
            if known := read(self._folder / "key").decode():
                return known
        key = secrets.token_hex(16)
        write_private(self._folder / "key", key.encode())
        return key

    def _listen(self) -> Relay:
        call_soon = asyncio.get_running_loop().call_soon_threadsafe

        def on_control(request: str, owner: bool) -> None:
            call_soon(self._on_control, request, owner)

        relay = Relay(
            str(self._sockets / "f"),
            self._key.encode(),
            ZmqBackEnd(str(self._sockets / "k")),
            on_control,
            backlog=Backlog(self._folder / "waiting.jsonl"),
            identity=self._identity[:8].encode(),
        )
        for path in self._sockets.glob("[fk]-*"):
            remove(path)
        relay.stand_in(self.backend.kernel_info(self._row.image), self._why_waiting())
        return relay

    # The session.

    async def _look_after(self) -> None:
        if self._again:
            await asyncio.sleep(_RETURN_SECONDS)
        while True:
            await self._look()
            if not self._row.live or self._row.status == "ERROR":
                await self._finish()
                return
            if self._gone:
                await self._lose_gateway()
            if self._row.status in USABLE and not self._connected:
                await self._connect()
            elif self._row.status not in USABLE:
                self._relay.say(self._why_waiting())
                if time.monotonic() > self._start_by:
                    await self._end()
            seconds = self.backend.poll_seconds * (3 if self._connected else 0.2)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(_SOONEST_SECONDS, seconds)):
                    await self._wake.wait()

    async def _look(self) -> None:
        try:
            self._row = await self.backend.get(self._row.id)
        except SessionNotFound:
            self._row = structs.replace(
                self._row, status="TERMINATED", status_info="it is not known any more"
            )
        except Exception as error:  # Whatever the backend says, it says nothing of the session.
            log.info("A session of %s cannot be looked at: %s", self.backend.name, error)

    async def _connect(self) -> None:
        """Connect notebooks to the kernel; after a failure, their requests wait for the next attempt."""
        try:
            endpoint = await self.backend.kernel_endpoint(self._row.id)
            if self._gateway is None:
                self._gateway = self._new_gateway(endpoint)
                self._gateway.listen()
                self._relay.lead()
            self._gateway.endpoint = endpoint
            await self._gateway.open()
            self._connected = True
        except Exception as error:  # Backends are others'.
            log.info("The kernel of a session of %s cannot be reached: %s", self.backend.name, error)
            self._relay.say(f"The kernel of '{self._row.name}' cannot be reached: {error}")

    def _new_gateway(self, endpoint: KernelEndpoint) -> KernelGateway:
        return KernelGateway(
            endpoint,
            str(self._sockets / "k"),
            self._key,
            self._on_gone,
            saved=self._folder / "unanswered.json",
            identity=self._identity,
        )

    def _on_gone(self, why: str) -> None:
        self._gone = why
        self._wake.set()

    async def _lose_gateway(self) -> None:
        if self._gateway is not None:
            self._gateway.fail("KernelGone", self._gone)
        self._gone = ""
        await self._disconnect()

    async def _disconnect(self) -> None:
        self._connected = False
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            await gateway.disconnect()

    async def _finish(self) -> None:
        """Reply to all running and waiting requests with the reason of the session's end."""
        ended = status_clause(self._row.status)
        why = f"The session '{self._row.name}' {ended}{because(self._row.status_info)}"
        await self._disconnect()
        self._tasks[1].cancel()
        self._stop_reading()
        self._journal.close(why)
        try:
            await asyncio.to_thread(self._relay.end, why, {})
        except (zmq.ZMQError, OSError):
            log.exception("Notebooks cannot be told: %s", why)
        await asyncio.to_thread(self._relay.close)
        if self._owner_task is not None:
            self._owner_task.cancel()
        remove(self._folder)
        remove(self._sockets)
        self._over()

    def _read_soon(self) -> None:
        """Read what the kernel says in a moment; the descriptor stays readable until then."""
        self._loop.remove_reader(self._heard_fd)
        self._reading = self._loop.call_later(_BATCH_SECONDS, self._read_on)

    def _read_on(self) -> None:
        self._read_heard()
        self._loop.add_reader(self._heard_fd, self._read_soon)

    def _read_heard(self) -> None:
        """Keep what the kernel says in the journal."""
        for frames in read_all(self._relay.heard):
            if (message := deserialize(frames)) is not None:
                guarded(self._journal.add, message)

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._heard_fd)
        if self._reading is not None:
            self._reading.cancel()
        self._read_heard()

    async def _tidy(self) -> None:
        """Forget what the kernel has answered."""
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            self._read_heard()
            self._relay.tidy()
            self._journal.mark_attended()
            if self._gateway is not None and self._gateway.kernel_was_free:
                self._journal.caught_up()

    def _why_waiting(self) -> str:
        row = self._row
        if row.status in USABLE:
            return ""
        return f"The session '{row.name}' is {waiting(row.status_info)}. Interrupt the kernel to give up."

    # Who owns it.

    def _on_control(self, request: str, owner: bool) -> None:
        """Handle a shutdown or interrupt request of a notebook. Only the owner can end the session."""
        if owner and (request == "shutdown" or self._row.status not in USABLE):
            self._tasks.append(asyncio.create_task(self._end()))

    def _own(self, owner: Identity, patience: float) -> None:
        self._owner = owner
        self._start_by = time.monotonic() + patience if patience else float("inf")
        if self._owner_task is not None:
            self._owner_task.cancel()
        self._owner_task = asyncio.create_task(self._watch_owner(owner))

    async def _watch_owner(self, owner: Identity) -> None:
        """End the session some time after its owner's end. An owner that is not visible from here counts as alive."""
        renewed = float("-inf")
        visible = (owner.boot_id, owner.pid_ns) == (here().boot_id, here().pid_ns)
        while not visible or owner.alive():
            if time.monotonic() > renewed + LEASE_SECONDS / 3:
                renewed = time.monotonic()
                with contextlib.suppress(SessionError):
                    await self.backend.lease(self._row.id, LEASE_SECONDS)
            await asyncio.sleep(_OWNER_SECONDS)
        await asyncio.sleep(self._grace)
        await self._end()

    async def _end(self) -> None:
        while self._row.live:
            try:
                self._row = await self.backend.destroy(self._row.id)
                break
            except NotFound:
                break
            except SessionError as error:
                log.warning("A session of %s cannot be ended: %s", self.backend.name, error)
                await asyncio.sleep(self.backend.poll_seconds)
        self._wake.set()


def check_usable(row: SessionInfo) -> None:
    """Check that a session takes code. Errors: NotRunning after its end; NotSupported for a batch session."""
    if row.type == "batch":
        raise NotSupported(
            f"'{row.name}' is a batch session: it runs its startup command and takes no code.",
            field="session",
        )
    if not row.live or row.status in ("ERROR", "TERMINATING"):
        raise NotRunning(standing(row.name, row.status, row.status_info), hint="Create the session again.")
