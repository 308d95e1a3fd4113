"""Keep the manager reachable: restore its contact file and sockets after they were deleted.

People and cleanup programs empty /tmp, and files are deleted by accident.
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

CHECK_SECONDS = 1.0
_TOUCH_SECONDS = 3600.0
"""Seconds between two updates of the files' times, as cleanup programs go by age."""


class MovedAway(SessionError):
    """The manager must end so that the next one repairs its files; sessions keep running."""


class Presence:
    """Watches the contact file, the manager's unix socket and the sockets of sessions."""

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

    async def run(self) -> None:
        """Check once a second, until cancelled. Errors: MovedAway."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                await self.check()
            except MovedAway:
                raise
            except Exception:  # The next check may succeed.
                log.exception("missing files cannot be restored")

    async def check(self) -> None:
        """Restore missing files. Errors: MovedAway, OSError, SessionError."""
        if self._where.run_folder() != self._socket.parent:
            raise MovedAway("Another user took the path of the sockets.")
        if _inode(self._socket) != self._inode:
            await self._listen()
        if self._where.contact() is None:
            log.warning("the file %s was deleted and is restored", self._where.contact_file)
            self._where.write_contact(self._contact)
        if self._sessions.store.damaged:
            raise MovedAway("The database is damaged.")
        self._sessions.check_sockets()
        self._settings.check()
        if time.monotonic() > self._touched + _TOUCH_SECONDS:
            self._touched = time.monotonic()
            folder = self._socket.parent
            for path in (folder, self._socket, self._where.contact_file, *folder.rglob("*")):
                with suppress(OSError, NotImplementedError):
                    os.utime(path, follow_symlinks=False)

    async def _listen(self) -> None:
        """Listen on a new unix socket; open connections stay."""
        log.warning("the socket %s was deleted and is restored", self._socket)
        remove(self._socket)
        lost = [site for site in self._runner.sites if isinstance(site, UnixSite)]
        await UnixSite(self._runner, str(self._socket)).start()
        self._inode = _inode(self._socket)
        for site in lost:
            await site.stop()

    def close(self) -> None:
        """Release the locks on the folders."""
        for lock in self._locks:
            if lock is not None:
                os.close(lock)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _lock(folder: Path) -> int | None:
    """Lock a folder, so that systemd-tmpfiles does not clean it. Source: tmpfiles.d(5), "Age"."""
    descriptor = None
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        if descriptor is not None:
            os.close(descriptor)
        return None
    return descriptor
