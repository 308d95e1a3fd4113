"""Keeps the manager reachable: what is removed of its contact file and sockets is made again.

People and their cleaners empty /tmp; an accident takes a file.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from aiohttp import web

from jupyter_sessions.errors import SessionError
from jupyter_sessions.manager.connections import UnixSite
from jupyter_sessions.manager.live_settings import LiveSettings
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.wire.files import remove
from jupyter_sessions.wire.places import Contact, StateFolder

log = logging.getLogger("jupyter_sessions")

LOOK_SECONDS = 1.0
_TOUCH_SECONDS = 3600.0
"""How often it is shown to cleaners, which go by age, that all is in use."""


class MovedAway(SessionError):
    """Something is wrong that the next manager puts right when it starts; sessions run on."""


class Presence:
    """The contact file, the manager's unix socket and the sockets of sessions."""

    def __init__(
        self,
        where: StateFolder,
        contact: Contact,
        runner: web.AppRunner,
        sessions: SessionManager,
        settings: LiveSettings,
    ) -> None:
        self._where = where
        self._contact = contact
        self._runner = runner
        self._sessions = sessions
        self._settings = settings
        self._socket = Path(contact.socket)
        self._inode = self._socket.stat().st_ino
        self._touched = time.monotonic()
        self._locks = [_lock(folder) for folder in (where.folder, where.folder.parent, self._socket.parent)]

    async def keep(self) -> None:
        """Look once a second, until cancelled. Errors: MovedAway."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except MovedAway:
                raise
            except Exception:  # The next look may do better.
                log.exception("what is missing cannot be made again")

    async def look(self) -> None:
        """Make again what is missing. Errors: MovedAway, OSError, SessionError."""
        if self._where.run_folder() != self._socket.parent:
            raise MovedAway("Another user took the path of the sockets.")
        if _inode(self._socket) != self._inode:
            await self._listen()
        if self._where.contact() is None:
            log.warning("the file %s was lost", self._where.contact_file)
            self._where.write_contact(self._contact)
        if self._sessions.store.damaged:
            raise MovedAway("The database is damaged.")
        self._sessions.look_for_sockets()
        self._settings.look()
        if time.monotonic() > self._touched + _TOUCH_SECONDS:
            self._touched = time.monotonic()
            self._touch()

    async def _listen(self) -> None:
        """Listen at the unix socket again; connections that are open stay."""
        log.warning("the socket %s was lost", self._socket)
        remove(self._socket)
        lost = [site for site in self._runner.sites if isinstance(site, UnixSite)]
        await UnixSite(self._runner, str(self._socket)).start()
        self._inode = _inode(self._socket)
        for site in lost:
            await site.stop()

    def _touch(self) -> None:
        folder = self._socket.parent
        for path in (folder, self._socket, self._where.contact_file, *folder.rglob("*")):
            with suppress(OSError, NotImplementedError):
                os.utime(path, follow_symlinks=False)

    def close(self) -> None:
        """Let go of the folders."""
        for lock in self._locks:
            if lock is not None:
                os.close(lock)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _lock(folder: Path) -> int | None:
    """A descriptor for whose life systemd-tmpfiles leaves a folder alone. Source: tmpfiles.d(5), "Age"."""
    descriptor = None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor
