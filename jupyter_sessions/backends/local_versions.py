"""Session managers of this machine that are of another version: what can be asked of them, and taking over from them.

The protocol between this package and its manager may change. What others' clients of Backend.AI need does not:
signed requests, the list, and the end of a session. So sessions of a manager of any version are listed and ended.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from jupyter_sessions._version import __version__
from jupyter_sessions.backends.backendai.access import Signed
from jupyter_sessions.backends.backendai.backend import BackendAI
from jupyter_sessions.backends.backendai.http import ManagerClient
from jupyter_sessions.backends.backendai.versions import Dialect
from jupyter_sessions.backends.base import Query, Storage
from jupyter_sessions.backends.local_manager import START_SECONDS, ManagerState, find, start
from jupyter_sessions.backends.notices import Notice
from jupyter_sessions.errors import BackendUnavailable, NotSupported, SessionError
from jupyter_sessions.model import SessionInfo
from jupyter_sessions.wire.places import PROTOCOL, Contact
from jupyter_sessions.wire.process_context import in_session
from jupyter_sessions.wire.releases import installed, is_earlier

END_SECONDS = 20.0
_LOOK_SECONDS = 1.0
_SPOKEN = Dialect(version="v6.20220315", release=(24, 12))
"""The dialect of managers of all versions."""
_TAKE_OVER = "`%session backend takeover` takes over now; its sessions go on."


class OtherManager(BackendAI):
    """A manager of this machine with another protocol, whose sessions can only be listed and ended."""

    page_size = 1000
    storage = Storage()

    def __init__(self, name: str, title: str, contact: Contact) -> None:
        super().__init__(name, title=title)
        self.contact = contact
        by_socket = os.path.exists(contact.socket)
        self._manager = ManagerClient(
            ["http://localhost" if by_socket else contact.url],
            Signed(contact.keypair),
            who=title,
            socket=contact.socket if by_socket else None,
            dialect=_SPOKEN,
            trust_env=False,
        )

    async def client(self) -> ManagerClient:
        """Return the connection."""
        return self._manager

    async def close(self) -> None:
        """Close the connection."""
        await self._manager.close()
        await super().close()


class AnyVersion(BackendAI):
    """The operations on sessions of this machine that work with managers of all versions."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._starting = asyncio.Lock()
        self._other: OtherManager | None = None

    async def list(self, query: Query) -> builtins.list[SessionInfo]:
        """Return sessions."""
        if other := await self._other_manager():
            return await other.list(query)
        return await super().list(query)

    async def get(self, id: str) -> SessionInfo:
        """Return a session."""
        if other := await self._other_manager():
            return await other.get(id)
        return await super().get(id)

    async def destroy(self, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """End or cancel a session."""
        if other := await self._other_manager():
            return await other.destroy(id, forced=forced, recursive=recursive)
        return await super().destroy(id, forced=forced, recursive=recursive)

    async def _other_manager(self) -> OtherManager | None:
        """Return the manager that runs if it speaks another protocol."""
        contact, known = find(), self._other
        if known is not None and known.contact != contact:
            self._other = None
            await known.close()
        if contact is not None and is_other(contact) and self._other is None:
            self._other = OtherManager(self.name, self.title, contact)
        return self._other

    def notice(self) -> Notice | None:
        """Return what there is to know of a manager of another version."""
        with suppress(SessionError):
            contact = find()
            return notice_of(contact) if contact else None
        return None

    async def take_over(self) -> None:
        """Have a manager of this version go on with the sessions. Errors: NotSupported, BackendUnavailable."""
        async with self._starting:
            if contact := find():
                await asyncio.to_thread(take_over, contact)

    async def _watch_other(self) -> AsyncIterator[builtins.list[SessionInfo]]:
        """Yield the rows of a manager with another protocol, which is polled as long as it runs."""
        seen = {row.id: row for row in await self.list(Query())}
        yield [*seen.values()]
        while await self._other_manager():
            changed, seen = await self.changes(seen)
            if changed:
                yield changed
            await asyncio.sleep(_LOOK_SECONDS)

    async def close(self) -> None:
        """Close connections."""
        other, self._other = self._other, None
        if other is not None:
            await other.close()
        await super().close()


def is_other(contact: Contact) -> bool:
    """Return whether a manager speaks another protocol."""
    return contact.protocol != PROTOCOL


def is_later(contact: Contact) -> bool:
    """Return whether a manager is of a later version."""
    return contact.protocol > PROTOCOL or (
        contact.protocol == PROTOCOL and is_earlier(__version__, contact.version)
    )


def is_before(contact: Contact) -> bool:
    """Return whether a manager is of an earlier version, from which this one takes over."""
    return contact.protocol < PROTOCOL or (
        contact.protocol == PROTOCOL and is_earlier(contact.version, __version__)
    )


def notice_of(contact: Contact) -> Notice | None:
    """Return what people should know of a manager of another version; None of one of this version."""
    ours, its = __version__, contact.version
    if is_before(contact):
        until = (
            f"Until version {ours} takes over, its sessions can only be listed and ended."
            if is_other(contact)
            else f"Version {ours} takes over by itself once nothing runs that could be lost."
        )
        message = f"The session manager of this machine is still of version {its}. {until}"
        return Notice(message=message, hint=_TAKE_OVER, take_over=True)
    if is_other(contact):
        message = (
            f"The session manager of this machine is of version {its}. "
            f"Version {ours}, which runs here, can only list and end its sessions."
        )
        return Notice(message=message, hint=_upgrade_to(its))
    return None


def _upgrade_to(version: str) -> str:
    """Return how who runs an earlier version than the manager's gets to a later one."""
    if is_earlier(__version__, installed()):
        return "Restart Jupyter to finish the upgrade."
    return f"Upgrade jupyter_sessions in this environment to version {version} or later."


def refusal(contact: Contact) -> BackendUnavailable:
    """Return the error for what a manager of another protocol cannot be asked."""
    notice = notice_of(contact)
    assert notice is not None  # noqa: S101 - its protocol is another
    return BackendUnavailable(notice.message, hint=notice.hint)


def may_replace(state: ManagerState | None) -> bool:
    """Return whether a manager of an earlier version says that nothing would be lost if this one took over."""
    return state is not None and state.in_the_way == []


def take_over(contact: Contact) -> Contact:
    """Start a manager of this version, which goes on with the sessions of the one that runs, once that has ended.

    Errors: NotSupported if that is of a later version; BackendUnavailable with the reason.
    """
    if is_later(contact):
        raise NotSupported(
            f"The session manager of this machine is of version {contact.version}, later than {__version__}.",
            hint=_upgrade_to(contact.version),
        )
    if in_session():
        raise BackendUnavailable(
            "This process runs in a session, and a session manager that it starts would end with that session.",
            hint="Take over in the panel, or with `jupyter session backend takeover` in a terminal of this machine.",
        )
    return start(START_SECONDS, instead_of=contact, end=_end)


def _end(contact: Contact) -> None:
    """End a manager; what runs in its sessions goes on. Errors: BackendUnavailable if it does not end."""
    identity = contact.identity
    if identity.alive():
        os.kill(identity.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_SECONDS
    while identity.alive():
        if time.monotonic() > deadline:
            raise BackendUnavailable(
                f"The session manager of version {contact.version} has not ended within {END_SECONDS:.0f} s.",
                hint=f"End its process, {identity.pid}: sessions go on.",
            )
        time.sleep(0.02)
