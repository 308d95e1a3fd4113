"""The notebook servers of sessions: each is started when its session runs, and open once it answers.

A server like CANFAR's says that a session runs before its page can be opened (science-platform issue
408); here a session that was made as a notebook runs when it can.
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
"""For how long a server that is starting is waited for."""


class Open(msgspec.Struct, frozen=True):
    """Where a server answers, and which of its session's processes it is of."""

    endpoint: Endpoint
    restarts: int


class NotebookServers:
    """Opens them, and remembers which are open."""

    def __init__(self, sessions: SessionManager, audience: str) -> None:
        self._audience = audience
        self._sessions = sessions
        self._open: dict[str, Open] = {}
        self._opening: dict[str, asyncio.Task[Endpoint]] = {}

    @staticmethod
    def prefix(record: Record) -> str:
        """The path under which browsers see it, with both slashes."""
        return f"{ROOT}{skaha_id(record.id)}/"

    def has(self, record: Record) -> bool:
        """Whether a session has a notebook server, or will."""
        return record.live and not record.batch and SERVICE in record.launch.services

    def target(self, record: Record) -> str:
        """Path and query with which a person gets in."""
        return f"{self.prefix(record)}lab?token={self.secret(record)}"

    def secret(self, record: Record) -> str:
        """What lets a person in, as long as this manager lives.

        It goes with the key that has the session, and says nothing of that.
        """
        key = self._sessions.store.keys.get(record.access_key)
        secret = key.secret_key if key else record.id
        return hmac.digest(
            secret.encode(), f"notebook {record.id} at {self._audience}".encode(), "sha256"
        ).hex()

    def is_open(self, record: Record) -> bool:
        """Whether a person gets in, if the session is for that. If not, it is seen to."""
        if not record.skaha_name or not self.has(record) or self._known(record):
            return True
        self.see_to(record)
        return False

    def see_to(self, record: Record) -> asyncio.Task[Endpoint]:
        """Open it as soon as the session runs."""
        task = self._opening.get(record.id)
        if task is None:
            task = self._opening[record.id] = asyncio.create_task(self._see_to(record))
            task.add_done_callback(lambda done: self._seen_to(record, done))
        return task

    async def endpoint(self, record: Record) -> Endpoint:
        """Where it answers. Errors: NotRunning, BackendUnavailable, NotSupported without JupyterLab."""
        if not self.has(record):
            raise NotSupported(f"The session '{record.name}' has no notebook server.")
        known = self._known(record)
        return known if known is not None else await asyncio.shield(self.see_to(record))

    def lost(self, record: Record) -> None:
        """It does not listen any more: the next who asks starts it anew."""
        self._open.pop(record.id, None)

    def close(self) -> None:
        """Stop waiting for them."""
        for task in self._opening.values():
            task.cancel()

    def _known(self, record: Record) -> Endpoint | None:
        known = self._open.get(record.id)
        return known.endpoint if known and known.restarts == record.restarts and record.usable else None

    async def _see_to(self, record: Record) -> Endpoint:
        await self._sessions.wait(record, lambda record: record.usable or not record.live)
        restarts = record.restarts
        supervisor = self._sessions.supervisor(record)
        endpoint = await supervisor.start_service(SERVICE, forced=True)  # It is what the session is for.
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
                "The session's notebook server does not answer.", hint="Its logs may say why; try again."
            ) from error

    def _seen_to(self, record: Record, done: asyncio.Task[Endpoint]) -> None:
        self._opening.pop(record.id, None)
        error = None if done.cancelled() else done.exception()
        if isinstance(error, SessionError | LaunchError):
            log.info("the notebook server of session %s: %s", record.id, error)
        elif error is not None:
            log.error("the notebook server of session %s", record.id, exc_info=error)


NOTEBOOK_SERVERS = web.AppKey("notebook_servers", NotebookServers)


async def close(app: web.Application) -> None:
    """The manager ends."""
    app[NOTEBOOK_SERVERS].close()
