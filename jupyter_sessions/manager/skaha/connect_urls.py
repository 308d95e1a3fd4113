"""The notebook servers of sessions: each is started when its session runs, and counts as open once it answers.

CANFAR's servers report a session as running before its page can be opened (science-platform issue 408). Here a
session that was created as a notebook is reported as running only when its page can be opened.
"""

from __future__ import annotations

import asyncio
import hmac
import logging

import msgspec
from aiohttp import ClientError, web

from jupyter_sessions.errors import BackendUnavailable, NotSupported, SessionError
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.core.skaha_id import skaha_id
from jupyter_sessions.manager.runtime.launch import LaunchError
from jupyter_sessions.manager.sessions import SessionManager
from jupyter_sessions.manager.skaha.images import SERVICE
from jupyter_sessions.model import Endpoint
from jupyter_sessions.wire.proxy.upstream import client, patiently, url

log = logging.getLogger("jupyter_sessions")

ROOT = "/skaha/session/notebook/"
SECONDS = 60.0
"""The longest wait for a server that is starting."""


class Open(msgspec.Struct, frozen=True):
    """The endpoint of an open server, and which of its session's starts it belongs to."""

    endpoint: Endpoint
    restarts: int


class NotebookServers:
    """Opens notebook servers, and remembers which are open."""

    def __init__(self, sessions: SessionManager, audience: str) -> None:
        self._audience = audience
        self._sessions = sessions
        self._open: dict[str, Open] = {}
        self._opening: dict[str, asyncio.Task[Endpoint]] = {}

    @staticmethod
    def prefix(record: Record) -> str:
        """Return the path under which browsers see a session's server, with both slashes."""
        return f"{ROOT}{skaha_id(record.id)}/"

    def has(self, record: Record) -> bool:
        """Return whether a session has a notebook server, or will have one."""
        return record.live and not record.batch and SERVICE in record.launch.services

    def target(self, record: Record) -> str:
        """Return the path and query that open a session's page."""
        return f"{self.prefix(record)}lab?token={self.secret(record)}"

    def secret(self, record: Record) -> str:
        """Return the secret that opens a session's page, valid as long as this manager lives.

        The secret ends with the key that owns the session, but does not reveal the key.
        """
        key = self._sessions.store.keys.get(record.access_key)
        secret = key.secret_key if key else record.id
        return hmac.digest(
            secret.encode(), f"notebook {record.id} at {self._audience}".encode(), "sha256"
        ).hex()

    def is_open(self, record: Record) -> bool:
        """Return whether a session's page can be opened, if it has one; otherwise start to open it."""
        if not record.skaha_name or not self.has(record) or self._known(record):
            return True
        self.see_to(record)
        return False

    def see_to(self, record: Record) -> asyncio.Task[Endpoint]:
        """Open a session's server as soon as the session runs."""
        task = self._opening.get(record.id)
        if task is None:
            task = self._opening[record.id] = asyncio.create_task(self._see_to(record))
            task.add_done_callback(lambda done: self._seen_to(record, done))
        return task

    async def endpoint(self, record: Record) -> Endpoint:
        """Return the endpoint of a session's server.

        Errors: NotRunning, BackendUnavailable, NotSupported without JupyterLab.
        """
        if not self.has(record):
            raise NotSupported(f"The session '{record.name}' has no notebook server.")
        known = self._known(record)
        return known if known is not None else await asyncio.shield(self.see_to(record))

    def lost(self, record: Record) -> None:
        """Forget a server that no longer listens, so that the next request starts it again."""
        self._open.pop(record.id, None)

    def close(self) -> None:
        """Stop waiting for servers."""
        for task in self._opening.values():
            task.cancel()

    def _known(self, record: Record) -> Endpoint | None:
        known = self._open.get(record.id)
        return known.endpoint if known and known.restarts == record.restarts and record.usable else None

    async def _see_to(self, record: Record) -> Endpoint:
        await self._sessions.wait(record, lambda record: record.usable or not record.live)
        restarts = record.restarts
        supervisor = self._sessions.supervisor(record)
        endpoint = await supervisor.start_service(
            SERVICE, forced=True
        )  # The notebook is the purpose of the session.
        await self._answers(endpoint, endpoint.base_url or "/")
        self._open = {key: one for key, one in self._open.items() if self._sessions.is_live(key)}
        self._open[record.id] = Open(endpoint, restarts)
        return endpoint

    async def _answers(self, endpoint: Endpoint, prefix: str) -> None:
        try:
            async with asyncio.timeout(SECONDS), client(endpoint) as session:
                where = url(endpoint, f"{prefix}api")
                answer = await patiently(lambda: session.get(where, allow_redirects=False), SECONDS)
                answer.close()
        except (TimeoutError, ClientError, OSError) as error:
            raise BackendUnavailable(
                "The session's notebook server does not answer.", hint="See the session's logs, or try again."
            ) from error

    def _seen_to(self, record: Record, done: asyncio.Task[Endpoint]) -> None:
        self._opening.pop(record.id, None)
        error = None if done.cancelled() else done.exception()
        if isinstance(error, SessionError | LaunchError):
            log.info("The notebook server of session %s did not start: %s", record.id, error)
        elif error is not None:
            log.error("The notebook server of session %s did not start.", record.id, exc_info=error)


NOTEBOOK_SERVERS = web.AppKey("notebook_servers", NotebookServers)


async def close(app: web.Application) -> None:
    """Stop waiting for notebook servers, because the manager ends."""
    app[NOTEBOOK_SERVERS].close()
