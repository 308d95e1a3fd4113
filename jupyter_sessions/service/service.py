"""Sessions on all backends, for every face. A backend that is down never breaks the others."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from msgspec import structs

from jupyter_sessions.backends.base import Backend, Output, Query
from jupyter_sessions.backends.polling import unsettled
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import (
    BackendUnavailable,
    NotRunning,
    SessionError,
    SessionNotFound,
)
from jupyter_sessions.model import (
    Endpoint,
    Event,
    KernelConnection,
    ProcessId,
    SessionInfo,
    SessionSpec,
    in_group,
    standing,
)
from jupyter_sessions.service.backend_service import BackendService
from jupyter_sessions.service.cells import Unfinished, with_end
from jupyter_sessions.service.creation import SessionCreation, new_name, with_preset
from jupyter_sessions.service.deadlines import (
    ACT_SECONDS,
    GET_SECONDS,
    RESTART_SECONDS,
    ask,
    follow,
)
from jupyter_sessions.service.file_transfer import FileService
from jupyter_sessions.service.lookup import Listing, find
from jupyter_sessions.service.notifications import RemoteNotifications
from jupyter_sessions.service.order import NEWEST, ordering
from jupyter_sessions.service.row_display import displayed
from jupyter_sessions.service.waiting import wait
from jupyter_sessions.wire.secret_variables import with_secrets
from jupyter_sessions.wire.spec_limits import check_spec

T = TypeVar("T")


class SessionService(BackendService, FileService):
    """All operations on sessions, on whichever backend they are."""

    def __init__(self, config: JupyterSessions, kernel_spec_manager: Any = None, folder: str = "") -> None:
        """Create the service; working folders are relative to `folder`, or to the process's own if that is empty."""
        super().__init__(config, kernel_spec_manager)
        self.folder = folder
        self.notifications = RemoteNotifications(config)
        self.feed.listen(self.notifications.hear)
        self._creation = SessionCreation(self._find_in)

    base_url = ""
    """The URL of the Jupyter server, which is missing here."""

    async def alive(self) -> bool:
        """Return True, because the service is in this process."""
        return True

    async def close(self) -> None:
        """Close the connections of all backends; sessions stay."""
        await self.feed.stop()
        await self.notifications.close()
        await asyncio.gather(*(backend.close() for backend in self.backends.values()), return_exceptions=True)

    # Looking.

    async def list(
        self,
        *,
        status: str = "live",
        backend: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        order: str | None = None,
        fields: Sequence[str] = (),
        access_key: str | None = None,
        everyone: bool = False,
    ) -> Listing:
        """Return sessions of one backend or of all, in an `order` (see `ordering`), by default the latest change first.

        Rows have `fields` beyond those of any list, if their backend knows them. With an `access_key`, the sessions
        are those of another user, which only administrators see. For `everyone`, see `Query`.

        Errors: InvalidRequest, UnknownBackend. The listing holds the errors of backends.
        """
        names = [self.backend(backend).name] if backend else [*self.backends]
        listing = await self._list_all(
            names, status, limit, offset, order or NEWEST, fields, access_key, everyone
        )
        return structs.replace(listing, **await self.expiries_and_notices(names))

    async def _list_all(
        self,
        names: builtins.list[str],
        status: str,
        limit: int | None = None,
        offset: int = 0,
        order: str = NEWEST,
        fields: Sequence[str] = (),
        access_key: str | None = None,
        everyone: bool = False,
    ) -> Listing:
        """Return the sessions of the named backends, without expiries and notices, which take a look at files."""
        in_group("PENDING", status)
        sort = ordering(order)
        most = None if limit is None else limit + offset
        first = most if order == NEWEST else None
        query = Query(
            status=status, limit=first, fields=tuple(fields), access_key=access_key, everyone=everyone
        )
        seconds = self._deadline(names)
        results = await asyncio.gather(
            *(self._list_one(self.backends[name], query, seconds) for name in names)
        )
        rows = [row for result, _ in results for row in result if access_key in (None, row.access_key)]
        errors = {name: said for name, (_, said) in zip(names, results, strict=True) if said}
        return Listing(sort(rows)[offset:most], errors)

    async def _list_one(
        self, backend: Backend, query: Query, seconds: float
    ) -> tuple[builtins.list[SessionInfo], str]:
        """Return rows and an error text, "" for none. A backend that is known to be down is not waited for."""
        backend.looking.once()
        told = all(map(backend.lists_field, query.fields))
        told = told and query.access_key is None and not query.everyone
        if told and query.status == "live" and await self.feed.knows(backend.name, seconds / 2):
            return self.feed.rows(backend.name), ""
        if problem := self._known_problem(backend):
            return self._last_seen(backend, query), problem
        try:
            rows = await ask(backend, backend.list(query), seconds)
            return [displayed(row) for row in rows], ""
        except SessionError as error:
            if self.backends.get(backend.name) is backend and backend.name not in self.feed.synced:
                self.feed.fail(backend.name, error)
            return self._last_seen(backend, query), str(error)

    def _last_seen(self, backend: Backend, query: Query) -> builtins.list[SessionInfo]:
        """Return the last known rows of a backend that refuses the credentials, because its sessions go on."""
        known = query.status == "live" and backend.name in self.feed.refused
        return self.feed.rows(backend.name) if known else []

    async def get(self, backend: str, id: str) -> SessionInfo:
        """Return a session by its full id. Errors: SessionNotFound, UnknownBackend."""
        place = self.backend(backend)
        return self._recorded(await ask(place, place.get(id), GET_SECONDS))

    async def find(self, ref: str) -> SessionInfo:
        """Return a session by "backend/NAME", id or name; see `lookup.find`."""
        return await find(lambda status: self._list_all([*self.backends], status), ref)

    async def _find_in(self, backend: Backend, ref: str) -> SessionInfo:
        return await find(lambda status: self._list_all([backend.name], status), ref)

    # Doing.

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Request a session, and return its row at once, `reused` if it is the live one of that name and image."""
        backend, spec = self._completed(spec)
        backend.name_rule.check(spec.name or "")
        row = self._recorded(await ask(backend, self._creation.create(backend, spec), ACT_SECONDS, acts=True))
        self.notifications.register(backend, row, spec)
        return row

    async def create_many(self, spec: SessionSpec) -> builtins.list[SessionInfo]:
        """Request a spec's `replicas` at once; see `SessionCreation.create_many`."""
        backend, spec = self._completed(spec)
        work = self._creation.create_many(backend, spec)
        rows = [self._recorded(row) for row in await ask(backend, work, ACT_SECONDS, acts=True)]
        for row in rows:
            self.notifications.register(backend, row, spec)
        return rows

    def _completed(self, spec: SessionSpec) -> tuple[Backend, SessionSpec]:
        """Return a spec with its preset, backend, folder and name filled in."""
        spec = with_preset(spec, self.config.presets)
        check_spec(spec)
        spec = with_secrets(spec)
        backend = self.backend(spec.backend)
        spec.backend = backend.name
        spec.notify = self.notifications.targets(backend, spec, sends=self.feed.running)
        if self.folder:
            spec.cwd = os.path.join(self.folder, os.path.expanduser(spec.cwd or ""))
        spec.name = spec.name if spec.name is not None else new_name(spec)
        return backend, spec

    async def destroy(
        self, backend: str, id: str, *, forced: bool = False, recursive: bool = False
    ) -> SessionInfo:
        """End or cancel a session, and return its row, also if it has ended before."""
        place = self.backend(backend)
        try:
            work = place.destroy(id, forced=forced, recursive=recursive)
            row = await ask(place, work, ACT_SECONDS, acts=True)
        except SessionNotFound:
            row = await self.get(backend, id)
        return self._recorded(row)

    async def restart(self, backend: str, id: str) -> SessionInfo:
        """Restart a session, and return its row."""
        place = self.backend(backend)
        return self._recorded(await self._act(place, id, place.restart(id), RESTART_SECONDS))

    async def rename(self, backend: str, id: str, name: str) -> SessionInfo:
        """Rename a session, and return its row."""
        place = self.backend(backend)
        place.name_rule.check(name)
        return self._recorded(await self._act(place, id, place.rename(id, name), ACT_SECONDS))

    async def renew(self, backend: str, id: str) -> SessionInfo:
        """Extend the time of a session, and return its row."""
        place = self.backend(backend)
        return self._recorded(await self._act(place, id, place.renew(id), ACT_SECONDS))

    async def record_use(self, backend: str, id: str) -> None:
        """Note that somebody uses a session through a service."""
        place = self.backend(backend)
        await ask(place, place.record_use(id), GET_SECONDS)

    async def set_environ(self, backend: str, id: str, environ: dict[str, str]) -> None:
        """Set variables for processes of a session that start from now on."""
        place = self.backend(backend)
        await ask(place, place.set_environ(id, environ), GET_SECONDS)

    def wait(
        self, backend: str, id: str, until: Callable[[SessionInfo], bool], *, every: bool = False
    ) -> AsyncIterator[SessionInfo]:
        """Yield the session's row whenever it changes; see `waiting.wait`."""
        return wait(self, backend, id, until, every=every)

    async def execute(
        self, backend: str, id: str, code: str, *, stdin: bool = False, ref: str | None = None
    ) -> AsyncIterator[Output]:
        """Run code in a session; see `Backend.execute`, and `Api.execute` for `ref`.

        It ends with a reply or an error, also where a backend says nothing of a kernel that has gone.
        """
        place = self.backend(backend)
        if ref is not None and (await self.find(ref)).id != id:
            raise SessionNotFound(f"'{ref}' is another session by now.", hint="Try again.", field="session")
        try:
            items = follow(place, place.execute(id, code, stdin=stdin))
            async for output in with_end(items, lambda: self.get(backend, id)):
                yield output
        except Unfinished:
            hint = "Its kernel may have ended: run the cell again."
            unfinished = BackendUnavailable(f"{place.title} gave no end of the cell.", hint=hint)
            raise await self._explained(place, id, unfinished) from None
        except (SessionNotFound, BackendUnavailable) as error:
            raise await self._explained(place, id, error) from error

    async def interrupt(self, backend: str, id: str) -> None:
        """Interrupt what runs in a session."""
        place = self.backend(backend)
        await self._act(place, id, place.interrupt(id), GET_SECONDS)

    async def input(self, backend: str, id: str, run: str, text: str) -> None:
        """Answer a run that asked for input."""
        place = self.backend(backend)
        await self._act(place, id, place.input(id, run, text), GET_SECONDS)

    async def complete(self, backend: str, id: str, code: str, cursor: int) -> dict[str, Any]:
        """How code could go on in a session, as its kernel says: the content of a `complete_reply`."""
        place = self.backend(backend)
        return await self._act(place, id, place.complete(id, code, cursor), GET_SECONDS)

    async def logs(self, backend: str, id: str) -> str:
        """Return what a session printed."""
        place = self.backend(backend)
        return await ask(place, place.logs(id), GET_SECONDS)

    async def events(self, backend: str, id: str) -> builtins.list[Event]:
        """Return what has happened to a session, the oldest first."""
        place = self.backend(backend)
        return await ask(place, place.events(id), GET_SECONDS)

    async def outputs(self, backend: str, id: str, which: Selection) -> Outputs:
        """Return the outputs of a session by execution; see `Backend.outputs`."""
        place = self.backend(backend)
        return await ask(place, place.outputs(id, which), GET_SECONDS)

    async def open_service(self, backend: str, id: str, name: str, base_url: str) -> Endpoint:
        """Start a service unless it runs, and return where it listens. Errors: NoRoom, ServiceEnded."""
        place = self.backend(backend)
        return await self._act(place, id, place.open_service(id, name, base_url), ACT_SECONDS)

    async def start_service(
        self,
        backend: str,
        id: str,
        name: str,
        *,
        arguments: Mapping[str, str] | None = None,
        forced: bool = False,
        base_url: str = "/",
    ) -> None:
        """Start a service, also one that has ended; without arguments, with those of its last start.

        `base_url` is as for `open_service`. Errors: NoRoom unless `forced`; InvalidRequest.
        """
        place = self.backend(backend)
        work = place.start_service(id, name, base_url, arguments or {}, forced=forced)
        await self._act(place, id, work, ACT_SECONDS)

    async def stop_service(self, backend: str, id: str, name: str) -> None:
        """End a service; it starts again when it is opened."""
        place = self.backend(backend)
        await self._act(place, id, place.stop_service(id, name), ACT_SECONDS)

    async def service_log(self, backend: str, id: str, name: str) -> str:
        """Return the end of what a service printed."""
        place = self.backend(backend)
        return await ask(place, place.service_log(id, name), GET_SECONDS)

    async def connection(
        self, backend: str, id: str, owner: ProcessId | None = None, patience: float = 0
    ) -> KernelConnection:
        """Return how to reach the kernel of a session; see `Backend.connection`."""
        place = self.backend(backend)
        return await self._act(place, id, place.connection(id, owner, patience), GET_SECONDS)

    async def _act(self, place: Backend, id: str, work: Awaitable[T], seconds: float) -> T:
        """Return the result of an operation on a live session. Errors: NotRunning if the session has ended."""
        try:
            return await ask(place, work, seconds, acts=True)
        except SessionNotFound as error:
            raise await self._explained(place, id, error) from error

    async def _explained(self, place: Backend, id: str, error: SessionError) -> SessionError:
        """Return NotRunning if the session has ended, because many backends say something else then."""
        with suppress(SessionError):
            row = await ask(place, place.get(id), GET_SECONDS)
            if not row.live or row.status == "TERMINATING":
                return NotRunning(
                    standing(row.name, row.status, row.status_info), hint="Create the session again."
                )
        return error

    def _recorded(self, row: SessionInfo) -> SessionInfo:
        row = displayed(row)
        if backend := self.backends.get(row.backend):
            if self.feed.watches(row.backend):
                self.feed.put(row)
            if unsettled([row]):
                backend.looking.hurry()
        return row
