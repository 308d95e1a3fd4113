"""The client of seed 004 for every backend: `AsyncSession`, and its blocking twin `Session`.

Source: seed 004; `events`, `renew`, `connect` and the arguments of the clients are those of skaha 1.7.0 and canfar
1.5.2.
"""

from __future__ import annotations

import asyncio
import shlex
import warnings
import webbrowser
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

from jupyter_sessions.client import session_rows
from jupyter_sessions.client.api import Api
from jupyter_sessions.client.blocking import Blocking, blocking
from jupyter_sessions.client.connection import Connection
from jupyter_sessions.client.open_api import open_api
from jupyter_sessions.client.resources import resources_of, working_folder
from jupyter_sessions.client.session_rows import SessionRow
from jupyter_sessions.errors import (
    BackendTimeout,
    BackendUnavailable,
    InvalidRequest,
    NotRunning,
    SessionError,
    SessionErrors,
)
from jupyter_sessions.model import SessionInfo, SessionSpec
from jupyter_sessions.service import own_sessions, replicas_of, service_at

Ids = str | Iterable[str]
OnErrors = Literal["raise", "ignore"]
K = TypeVar("K", str, int)
T = TypeVar("T")
_AT_ONCE = 16
"""How many requests are under way at once, as in skaha 1.7.0."""
_MEASURED = ("live_stat", "user_email")
"""Fields of sessions that not every backend lists unasked."""


class AsyncSession:
    """Create, list, inspect and destroy sessions on one backend; the asynchronous twin of `Session`.

    Use it as an asynchronous context manager, or `close` it, so that its connections end with your program.
    """

    def __init__(
        self,
        backend: str | None = None,
        *,
        server: str | None = None,
        version: str = "v0",
        token: str | None = None,
        certificate: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Choose the sessions of a `backend`; without one, of the default backend.

        With a `server`, `token` or `certificate` the client talks straight to that server, and no backend is used: `server`
        is its address, `version` that of its API unless the address has one, `certificate` the path of a PEM file with
        its key. `timeout` is the most seconds that one answer may take; without it, as long as the backend's own limit.
        """
        direct = any(given is not None for given in (server, token, certificate))
        if direct and backend is not None:
            hint = "Leave out `backend`, or `server`, `token` and `certificate`."
            raise InvalidRequest("Both a backend and a server are given.", hint=hint, field="backend")
        self.backend, self.server, self.version = backend, server, version
        self._timeout = timeout
        credentials = {"token": token, "certificate": certificate}

        async def opening() -> Api:
            if not direct:
                return await open_api()
            return service_at(url=server, version=version, timeout=timeout, **credentials)

        self._connection = Connection(opening)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.server or self.backend or ''!r})"

    async def create(
        self,
        name: str,
        image: str,
        cores: int = 2,
        ram: int = 4,
        kind: str = "headless",
        gpu: int | None = None,
        cmd: str | None = None,
        args: str | None = None,
        env: dict[str, Any] | None = None,
        replicas: int = 1,
        *,
        errors: OnErrors = "raise",
    ) -> list[str]:
        """Launch sessions NAME-1 to NAME-N for N `replicas`, also for one, and return their ids.

        Each session has `cores` CPU cores, `ram` GiB of memory and `gpu` GPUs. `kind` is "headless", "notebook" or another
        kind that the backend has. `cmd` is the program to run, `args` its arguments with single spaces between them. Each
        session finds the variables `env`, its number from 1 on in REPLICA_ID, and N in REPLICA_COUNT.

        Errors: SessionErrors once all have been tried, with the ids of those that were created as `results`, and `errors`
        by number; with errors="ignore" the ids alone are returned.
        """
        if replicas < 1:
            raise InvalidRequest(
                f"{replicas} replicas cannot be created.", hint="Give 1 or more.", field="replicas"
            )
        api, backend = await self._api()
        spec = SessionSpec(
            backend=backend,
            name=name,
            image=image,
            type=kind,
            resources=dict(await resources_of(api, backend, cpu=cores, mem=f"{ram}g", gpu=gpu)),
            environ={key: str(value) for key, value in (env or {}).items()},
            startup_command=shlex.join([cmd, *(args.split(" ") if args else [])]) if cmd else None,
            cwd=working_folder(None),
            reuse_if_exists=False,
            replicas=replicas,
        )
        specs = dict(enumerate(replicas_of(spec), 1))
        rows, failed = await self._each(specs, lambda number: api.create(specs[number]))
        return _done([row.id for row in rows.values()], failed, replicas, errors)

    async def fetch(
        self, kind: str | None = None, status: str | None = None, view: str | None = None
    ) -> list[SessionRow]:
        """List open sessions, those of a `kind` and `status` only if given.

        Open are sessions that live, and those that ended by themselves within the last 24 hours, or the last hour if they
        are headless. `status` is Pending, Running, Terminating, Completed or Succeeded, Failed or Error. With `view="all"`,
        sessions of all users whom the backend shows are listed, with `userid`, `type`, `status` and `startTime` only.
        """
        api, backend = await self._api()
        infos = await self._open(api, backend, status, everyone=view == "all")
        rows = [session_rows.row_of(info, api.base_url) for info in infos]
        rows = [row for row in rows if session_rows.matches(row, kind, status)]
        return [{key: row[key] for key in session_rows.PUBLIC} for row in rows] if view == "all" else rows

    async def info(
        self, ids: Ids = (), *, id: Ids = (), session_id: Ids = (), errors: OnErrors = "raise"
    ) -> list[SessionRow]:
        """Return sessions by their ids. `id` and `session_id` are other names for `ids`.

        Errors: SessionErrors once all have been asked for, with the others as `results`, unless errors="ignore".
        """
        wanted = _ids(ids, id, session_id)
        api, backend = await self._api()
        rows, failed = await self._each(wanted, lambda one: api.get(backend, one))
        found = [session_rows.row_of(row, api.base_url) for row in rows.values()]
        return _done(found, failed, len(wanted), errors)

    async def logs(self, ids: Ids = (), *, id: Ids = (), session_id: Ids = ()) -> dict[str, str]:
        """Return the output of sessions by their ids; "" for one that has none or does not exist."""
        wanted = _ids(ids, id, session_id)
        api, backend = await self._api()
        texts, _ = await self._each(wanted, lambda one: api.logs(backend, one))
        return {one: texts.get(one, "") for one in wanted}

    async def events(self, ids: Ids = (), *, id: Ids = (), session_id: Ids = ()) -> list[dict[str, str]]:
        """Return what has happened to sessions: for each a dictionary with its id, and lines of time and event.

        Errors: SessionErrors once all have been asked for, with the others as `results`.
        """
        wanted = _ids(ids, id, session_id)
        api, backend = await self._api()
        found, failed = await self._each(wanted, lambda one: api.events(backend, one))
        tables = [{one: "\n".join(map(session_rows.line_of, events))} for one, events in found.items()]
        return _done(tables, failed, len(wanted))

    async def renew(self, ids: Ids = (), *, id: Ids = (), session_id: Ids = ()) -> dict[str, bool]:
        """Extend the time of sessions; return by id whether that was done."""
        wanted = _ids(ids, id, session_id)
        api, backend = await self._api()
        done, _ = await self._each(wanted, lambda one: api.renew(backend, one))
        return {one: one in done for one in wanted}

    async def connect(self, ids: Ids = (), *, id: Ids = (), session_id: Ids = ()) -> None:
        """Open the pages of running sessions in the browser.

        Errors: SessionErrors once all have had their turn, with NotRunning for a session that has no page now.
        """
        wanted = _ids(ids, id, session_id)
        rows = await self.info(wanted, errors="ignore")
        urls = {row["id"]: row["connectURL"] for row in rows if row["status"] == "Running"}
        failed: dict[str, SessionError] = {
            one: NotRunning(
                f"The session '{one}' has no page that can be opened.", hint="Wait until it is running."
            )
            for one in wanted
            if not urls.get(one)
        }
        for one in wanted:
            if one not in failed:
                await asyncio.to_thread(webbrowser.open, urls[one])
        _done(None, failed, len(wanted))

    async def stats(self) -> dict[str, Any]:
        """Return how much the backend has, and how much of it is in use; counts are of the sessions that the backend shows."""
        api, backend = await self._api()
        (info,) = await self._answered(api.describe(backend))
        if not info.health.ok:
            raise BackendUnavailable(str(info.health.message))
        return session_rows.stats_of(info.capacity, await self._open(api, backend, "running", everyone=True))

    async def destroy(self, ids: Ids = (), *, id: Ids = (), session_id: Ids = ()) -> dict[str, bool]:
        """End sessions; return by id whether that was done, False for one that does not exist."""
        wanted = _ids(ids, id, session_id)
        api, backend = await self._api()
        done, _ = await self._each(wanted, lambda one: api.destroy(backend, one))
        return {one: one in done for one in wanted}

    async def destroy_with(
        self, prefix: str, kind: str = "headless", status: str = "Succeeded"
    ) -> dict[str, bool]:
        """End the sessions of a kind and status whose names begin with `prefix`, in that case; see `destroy`.

        The session that this program runs in is left out. A prefix that matches only in another case is warned of.
        """
        rows = [row for row in await self.fetch(kind, status) if row["id"] not in own_sessions()]
        found = [row["id"] for row in rows if row["name"].startswith(prefix)]
        alike = [row["name"] for row in rows if row["name"].lower().startswith(prefix.lower())]
        if alike and not found:
            message = f"No session's name begins with '{prefix}', but '{alike[0]}' does in another case."
            warnings.warn(message, stacklevel=2)
        return await self.destroy(found)

    async def close(self) -> None:
        """Close all connections; the next call connects again, and sessions run on."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _api(self) -> tuple[Api, str]:
        """Return the operations on sessions, and the name of the backend."""
        api = await self._connection.api()
        return api, self.backend or (await api.defaults()).backend

    async def _open(
        self, api: Api, backend: str, status: str | None, *, everyone: bool = False
    ) -> list[SessionInfo]:
        """Return the open sessions. Errors: BackendUnavailable with what the backend says."""
        group = session_rows.group_of(status)
        listing = await self._answered(
            api.list(
                status=group,
                backend=backend,
                fields=_MEASURED[1:] if everyone else _MEASURED,
                everyone=everyone,
            )
        )
        if backend in listing.errors:
            raise BackendUnavailable(listing.errors[backend])
        now = datetime.now(UTC)
        return [info for info in listing.sessions if session_rows.is_open(info, now)]

    async def _answered(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await work
        except TimeoutError:
            hint = "Try again, or give a longer `timeout`."
            raise BackendTimeout(f"There was no answer within {self._timeout:g} s.", hint=hint) from None

    async def _each(
        self, keys: Iterable[K], work: Callable[[K], Awaitable[T]]
    ) -> tuple[dict[K, T], dict[K, SessionError]]:
        """Do work for each key, a few at once; return results and errors by key, in the order of the keys."""
        turn, results, failed = asyncio.Semaphore(_AT_ONCE), dict[K, T](), dict[K, SessionError]()
        keys = list(keys)

        async def one(key: K) -> None:
            async with turn:
                try:
                    results[key] = await self._answered(work(key))
                except SessionError as error:
                    failed[key] = error

        await asyncio.gather(*map(one, keys))
        return {key: results[key] for key in keys if key in results}, failed


class Session(Blocking[AsyncSession]):
    """Create, list, inspect and destroy sessions on one backend, as seed 004's client does.

    Works in scripts, threads and notebooks. The results have the same form on every backend.

        >>> from jupyter_sessions import Session
        >>> session = Session()
        >>> session.create(name="test", image="python", cores=2, ram=8, kind="headless", cmd="env", replicas=2)
        ['2ff5d3c0-…', '8e11b3a7-…']
    """

    def __init__(
        self,
        backend: str | None = None,
        *,
        server: str | None = None,
        version: str = "v0",
        token: str | None = None,
        certificate: str | None = None,
        timeout: float | None = None,
    ) -> None:
        client = AsyncSession(
            backend, server=server, version=version, token=token, certificate=certificate, timeout=timeout
        )
        super().__init__(client, client._connection)
        self.backend, self.server, self.version = backend, server, version

    __init__.__doc__ = AsyncSession.__init__.__doc__
    __repr__ = AsyncSession.__repr__

    create = blocking(AsyncSession.create)
    fetch = blocking(AsyncSession.fetch)
    info = blocking(AsyncSession.info)
    logs = blocking(AsyncSession.logs)
    events = blocking(AsyncSession.events)
    renew = blocking(AsyncSession.renew)
    connect = blocking(AsyncSession.connect)
    stats = blocking(AsyncSession.stats)
    destroy = blocking(AsyncSession.destroy)
    destroy_with = blocking(AsyncSession.destroy_with)
    close = blocking(AsyncSession.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _ids(*given: Ids) -> list[str]:
    """Return the ids under any of their names. Errors: TypeError for none of them, as for a missing argument."""
    named = [[ids] if isinstance(ids, str) else list(ids) for ids in given if ids != ()]
    if len(named) != 1:
        raise TypeError("give the ids of sessions, once" if named else "the ids of sessions are missing")
    return list(dict.fromkeys(named[0]))


def _done(results: T, failed: dict[Any, SessionError], count: int, errors: OnErrors = "raise") -> T:
    """Return the results. Errors: SessionErrors if some failed, unless errors are ignored."""
    if not failed or errors == "ignore":
        return results
    first = next(iter(failed.values()))
    message = first.message if count == 1 else f"{len(failed)} of {count} sessions failed. {first.message}"
    raise SessionErrors(message, hint=first.hint, field=first.field, results=results, errors=failed)
