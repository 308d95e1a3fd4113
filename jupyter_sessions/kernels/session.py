"""The session behind a kernel, which a provisioner or a bridge creates or attaches to, watches and releases."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future
from contextlib import suppress

import msgspec

from jupyter_sessions.client import Api
from jupyter_sessions.client.loop_thread import Say
from jupyter_sessions.errors import LaunchFailed, NotRunning, SessionError, SessionNotFound
from jupyter_sessions.kernels.session_kernels import SessionKernels
from jupyter_sessions.kernels.shared_creates import key_of
from jupyter_sessions.kernels.socket_links import SocketLinks
from jupyter_sessions.model import (
    USABLE,
    KernelConnection,
    SessionInfo,
    SessionSpec,
    because,
    standing,
    status_word,
    waiting,
)
from jupyter_sessions.service import SessionService
from jupyter_sessions.wire.identity import own_identity

_AGAIN_SECONDS = 1.0
_START_SECONDS = 10.0
"""Enough for a kernel to start or to fail, so that a failure is reported to the client that requested it."""
_REQUEST_SECONDS = 1.0
_ENDED_CODE = 1
_NOT_BEGUN = ("PENDING", "SCHEDULED", "PREPARING", "PREPARED", "PULLING", "CREATING")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """The session to use: the live session that `attach` names, or a new one by `spec`, which ends with its kernel.

    The wait for a new session takes at most `timeout` seconds, 0 for no limit. With `waits` this process waits until the
    session runs; otherwise a placeholder kernel answers until the session starts.
    """

    spec: SessionSpec
    attach: str = ""
    timeout: float = 0
    waits: bool = True


class KernelSession:
    """One session with its kernel, which is one of `kernels`. `row` is the latest state of the session."""

    def __init__(self, wanted: Wanted, say: Say, kernels: SessionKernels) -> None:
        self._kernels = kernels
        self._wanted = wanted
        self._say = say
        self._key = key_of(wanted.spec)
        self._links = SocketLinks()
        self._watch: Future[None] | None = None
        self._restarts = 0
        self._holds: SessionInfo | None = None
        self.row: SessionInfo | None = None

    @property
    def attached(self) -> bool:
        """Whether the session existed before this kernel, and stays after it."""
        return bool(self._wanted.attach)

    @property
    def ended(self) -> str:
        """Why no code can run in the session any more, or "" while it can."""
        if self.row is None:
            return "it has not been created"
        if self.row.live and self.row.status != "ERROR":
            return ""
        return self.row.status_info or self.row.status

    def exit_code(self) -> int | None:
        """Return the exit code of the latest kernel, or None while it runs. Sends no request."""
        if self.row is None or (not self.ended and self.row.restarts == self._restarts):
            return None
        return self.row.exit_code or _ENDED_CODE

    async def begin(self) -> KernelConnection:
        """Find or create the session, and return its kernel's connection. Errors: SessionError; LaunchFailed."""
        return await self._kernels.call(self._begin)

    async def restart(self, environ: dict[str, str] | None = None) -> KernelConnection:
        """Restart the kernel, unless it was restarted since; create a new session if the old one ended with its kernel.

        `environ` are the variables of the session that have changed since it was created.
        """
        self._wanted.spec.environ |= environ or {}
        if self.ended and not self._wanted.attach:
            self._stop_watching()
            self._links.close()
            return await self.begin()
        return await self._kernels.call(lambda api: self._restart(api, environ or {}))

    async def interrupt(self) -> None:
        """Interrupt the kernel, or cancel a session that was created for this kernel and still waits."""
        await self._kernels.call(self._interrupt)

    async def let_go(self, *, asked: bool = False) -> None:
        """Release the session, and end it if it was created for this kernel and no other uses it. May be called again.

        With `asked`, the kernel was sent a shutdown request, which gets the time to end the session first, so that its reason
        is shown.
        """
        self._stop_watching()
        self._links.close()
        row = self._holds
        if row is not None and self._release():
            self._kernels.creates.forget(self._key)
            if asked:
                await self._kernels.call(lambda api: _ends(api, row))
            await self._kernels.call(lambda api: _end(api, row))

    def part(self) -> bool:
        """Return whether other kernels use the session; if so, a later shutdown request does not end it."""
        stay = self._holds is not None and self._kernels.is_shared(self._holds)
        if stay:
            self._links.be_visitors()
        return stay

    # Steps.

    async def _begin(self, api: Api) -> KernelConnection:
        wanted = self._wanted
        if wanted.attach:
            return await self._reach(api, await api.find(wanted.attach))
        async with self._kernels.creates.made(api, wanted.spec, self._key) as row:
            self._hold(row)
            try:
                return await self._enter(api, row)
            except BaseException:
                if self._release() and not row.reused:  # A reused session keeps its own end.
                    await _end(api, row)
                raise

    async def _enter(self, api: Api, row: SessionInfo) -> KernelConnection:
        if row.reused and self._wanted.waits:  # A front end has restarted the bridge.
            row = await self._running(api, row)
            row = await api.restart(row.backend, row.id)
        return await self._reach(api, row)

    def _hold(self, row: SessionInfo) -> None:
        self._release()
        self._kernels.hold(row)
        self._holds = row

    def _release(self) -> bool:
        """Stop using the session that was created for this kernel. Return whether no other kernel uses it."""
        row, self._holds = self._holds, None
        return row is not None and self._kernels.release(row)

    async def _restart(self, api: Api, environ: dict[str, str]) -> KernelConnection:
        row = await api.get(self._known().backend, self._known().id)
        if row.status in _NOT_BEGUN and not self._wanted.waits:
            return await self._reach(api, row)
        row = await self._running(api, row)
        if row.restarts == self._restarts:
            # Only a server knows of changed variables.
            if environ and isinstance(api, SessionService):
                await api.set_environ(row.backend, row.id, environ)
            row = await api.restart(row.backend, row.id)
        return await self._reach(api, row)

    async def _interrupt(self, api: Api) -> None:
        row = self._known()
        await api.interrupt(row.backend, row.id)
        if not self.attached and row.status in _NOT_BEGUN:
            row = await api.get(row.backend, row.id)
            if row.status == "PENDING":
                await _end(api, row)

    async def _reach(self, api: Api, row: SessionInfo) -> KernelConnection:
        """Connect once the session runs, or to the placeholder kernel while it waits."""
        if not self._wanted.waits:
            row = await self._waiting(api, row)
            if row.status in _NOT_BEGUN:
                with suppress(NotRunning):
                    return await self._connect(api, row)
        return await self._connect(api, await self._running(api, row))

    async def _waiting(self, api: Api, row: SessionInfo) -> SessionInfo:
        """Return the session once it is queued, runs or has failed, or after some time in any state."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                async for now in api.wait(
                    row.backend, row.id, lambda row: row.status == "PENDING" or _settled(row)
                ):
                    row = now
        return row

    async def _connect(self, api: Api, row: SessionInfo) -> KernelConnection:
        owner = None if self._wanted.attach else own_identity()
        patience = 0 if self._wanted.waits else self._wanted.timeout
        connection = await api.connection(row.backend, row.id, owner, patience)
        row = await api.get(row.backend, row.id)  # A list may not know the last restart yet.
        self.row, self._restarts = row, row.restarts
        self._stop_watching()
        self._watch = self._kernels.start(self._look_after)
        return self._links.to(connection)

    async def _running(self, api: Api, row: SessionInfo) -> SessionInfo:
        """Wait until code can run in the session, and return it. Errors: LaunchFailed."""
        told = ""
        try:
            async with asyncio.timeout(self._wanted.timeout or None):
                async for now in api.wait(row.backend, row.id, _settled):
                    row = now
                    if row.status == "PENDING" and row.status_info not in ("", told):
                        told = row.status_info
                        self._say(f"The session {row.ref} is {waiting(told)}.")
        except TimeoutError:
            how = waiting(row.status_info) if row.status == "PENDING" else status_word(row.status)
            hint = "Ask for less, or set a longer launch_timeout."
            text = f"The session {row.ref} did not start within {self._wanted.timeout:g} s: it is {how}."
            raise LaunchFailed(text, hint=hint) from None
        if row.status not in USABLE:
            raise LaunchFailed(
                standing(row.name, row.status, row.status_info or "unknown reason", f"The session {row.ref}")
            )
        return row

    async def _look_after(self, api: Api) -> None:
        """Update `row` until the kernel is restarted or has ended."""
        row = self._known()
        while True:
            try:
                async for now in api.wait(row.backend, row.id, self._other_kernel):
                    self.row = now
            except SessionNotFound:
                self.row = msgspec.structs.replace(
                    self._known(), status="TERMINATED", status_info="it no longer exists"
                )
            except (SessionError, OSError):
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if self.ended:
                self._say(f"The session {row.ref} has ended{because(self.ended)}")
            return

    def _other_kernel(self, row: SessionInfo) -> bool:
        return not row.live or row.status == "ERROR" or row.restarts != self._restarts

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _known(self) -> SessionInfo:
        if self.row is None:
            raise LaunchFailed("There is no session yet.")
        return self.row


def _settled(row: SessionInfo) -> bool:
    return row.status in USABLE or row.status == "ERROR" or not row.live or row.hopeless


async def _ends(api: Api, row: SessionInfo) -> None:
    """Wait a moment for a session to end by itself."""
    with suppress(TimeoutError, SessionError):
        async with asyncio.timeout(_REQUEST_SECONDS):
            async for _ in api.wait(
                row.backend, row.id, lambda row: not row.live or row.status == "TERMINATING"
            ):
                pass


async def _end(api: Api, row: SessionInfo) -> None:
    try:
        await api.destroy(row.backend, row.id)
    except SessionNotFound:
        return


def say(text: str) -> None:
    """Print a message to stderr, for a person at a terminal or in a server's log."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
