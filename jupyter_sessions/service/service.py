"""Sessions on all backends, for every face: one that is down never breaks the others."""

from __future__ import annotations

import asyncio
import builtins
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TypeVar

from msgspec import structs

from jupyter_sessions.amounts import format_slots
from jupyter_sessions.backends.base import Backend, Output, Query
from jupyter_sessions.backends.polling import unsettled
from jupyter_sessions.backends.signin import Credentials
from jupyter_sessions.channels.journal_messages import Outputs, Selection
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import (
    BackendUnavailable,
    NotRunning,
    SessionError,
    SessionNotFound,
    Unauthorized,
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
from jupyter_sessions.service.cells import Unfinished, with_end
from jupyter_sessions.service.creation import SessionCreation, new_name, with_preset
from jupyter_sessions.service.deadlines import (
    ACT_SECONDS,
    GET_SECONDS,
    LOOK_SECONDS,
    RESTART_SECONDS,
    ask,
    follow,
    state_of,
    translated,
)
from jupyter_sessions.service.feed import Feed
from jupyter_sessions.service.file_transfer import FileService
from jupyter_sessions.service.info import BackendInfo, Defaults, Health, NewBackend
from jupyter_sessions.service.lookup import Listing, expiries, find, notices
from jupyter_sessions.service.notifications import RemoteNotifications
from jupyter_sessions.service.order import NEWEST, ordering
from jupyter_sessions.service.registry import BackendFactory, pick
from jupyter_sessions.service.row_display import displayed
from jupyter_sessions.service.user_backends import Additions
from jupyter_sessions.service.waiting import wait
from jupyter_sessions.wire.secret_variables import with_secrets, without_values
from jupyter_sessions.wire.spec_limits import check_spec

T = TypeVar("T")


class SessionService(FileService):
    """Everything one can do with sessions, on whichever backend they are."""

    def __init__(self, config: JupyterSessions, kernel_spec_manager: Any = None, folder: str = "") -> None:
        """`folder` is where working folders are relative to; empty for the process's own."""
        self.config = config
        self.folder = folder
        self.additions = Additions(config, BackendFactory(config, kernel_spec_manager))
        self.backends = self.additions.backends
        self.feed = self.additions.feed = Feed()
        self.notifications = RemoteNotifications(config)
        self.feed.listen(self.notifications.hear)
        self._creation = SessionCreation(self._find_in)

    def backend(self, name: str | None = None) -> Backend:
        """A backend by name, or the default one. Errors: UnknownBackend."""
        return pick(self.backends, name or self.config.default_backend)

    base_url = ""
    """The address that services are below: there is no Jupyter server."""

    async def alive(self) -> bool:
        """True: it is here."""
        return True

    async def close(self) -> None:
        """Let go of all backends; sessions stay."""
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
        """Sessions of one backend or all, in `order` (see `ordering`), by default the most recently changed first.

        Rows have the given `fields`, if their backend knows them, beyond those that lists tell anyway. With an
        `access_key`, those of another user, which only administrators see. With `everyone`, see `Query`.

        Errors: InvalidRequest, UnknownBackend. What fails in a backend is in the listing's errors.
        """
        names = [self.backend(backend).name] if backend else [*self.backends]
        listing = await self._listed(
            names, status, limit, offset, order or NEWEST, fields, access_key, everyone
        )
        return structs.replace(listing, **await self.told(names))

    async def _listed(
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
        """The same of backends by name, without what files are looked at for."""
        in_group("PENDING", status)
        sort = ordering(order)
        most = None if limit is None else limit + offset
        first = most if order == NEWEST else None
        query = Query(
            status=status, limit=first, fields=tuple(fields), access_key=access_key, everyone=everyone
        )
        seconds = self._patience(names)
        results = await asyncio.gather(
            *(self._list_one(self.backends[name], query, seconds) for name in names)
        )
        rows = [row for result, _ in results for row in result if access_key in (None, row.access_key)]
        errors = {name: said for name, (_, said) in zip(names, results, strict=True) if said}
        return Listing(sort(rows)[offset:most], errors)

    async def _list_one(
        self, backend: Backend, query: Query, seconds: float
    ) -> tuple[builtins.list[SessionInfo], str]:
        """Rows, and what went wrong. Who is known to be down is not waited for."""
        backend.looking.once()
        told = all(map(backend.lists_field, query.fields))
        told = told and query.access_key is None and not query.everyone
        if told and query.status == "live" and await self.feed.knows(backend.name, seconds / 2):
            return self.feed.rows(backend.name), ""
        if problem := self._known_down(backend):
            return self._last_seen(backend, query), problem
        try:
            rows = await ask(backend, backend.list(query), seconds)
            return [without_values(displayed(row)) for row in rows], ""
        except SessionError as error:
            if self.backends.get(backend.name) is backend and backend.name not in self.feed.synced:
                self.feed.fail(backend.name, error)
            return self._last_seen(backend, query), str(error)

    def _last_seen(self, backend: Backend, query: Query) -> builtins.list[SessionInfo]:
        """The rows of a backend that only wants other credentials: its sessions live on."""
        known = query.status == "live" and backend.name in self.feed.refused
        return self.feed.rows(backend.name) if known else []

    async def told(self, names: Collection[str] | None = None) -> dict[str, Any]:
        """When the credentials of backends expire, and their notices, of those that tell."""
        wanted = [one for name, one in self.backends.items() if names is None or name in names]
        return {"expiries": await expiries(wanted), "notices": await notices(wanted)}

    async def remarks(self) -> builtins.list[str]:
        """Return sentences about how backends differ from their configuration; see `Backend.remarks`."""

        async def of(backend: Backend) -> builtins.list[str]:
            try:
                return await ask(backend, backend.remarks(), GET_SECONDS)
            except SessionError as error:
                return [str(error)]

        return [line for lines in await asyncio.gather(*map(of, self.backends.values())) for line in lines]

    async def get(self, backend: str, id: str) -> SessionInfo:
        """One session by its full id. Errors: SessionNotFound, UnknownBackend."""
        place = self.backend(backend)
        return self._noted(await ask(place, place.get(id), GET_SECONDS))

    async def find(self, ref: str) -> SessionInfo:
        """A session by "backend/NAME", id or name; see `finding.find`."""
        return await find(lambda status: self._listed([*self.backends], status), ref)

    async def _find_in(self, backend: Backend, ref: str) -> SessionInfo:
        return await find(lambda status: self._listed([backend.name], status), ref)

    async def defaults(self) -> Defaults:
        """What fills in a spec."""
        storage = {name: backend.storage for name, backend in self.backends.items()}
        places = {name: backend.place or name for name, backend in self.backends.items()}
        notifies = [name for name, backend in self.backends.items() if backend.notifies]
        can = {name: backend.capabilities() for name, backend in self.backends.items()}
        return Defaults(self.config.default_backend, self.config.presets, storage, places, can, notifies)

    def look(self) -> None:
        """Somebody looks at what is known: ask those that failed again, and all of them often for a time."""
        for backend in self.backends.values():
            backend.looking.once()
            self._known_down(backend)

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """Somebody follows what changes, until the context is left."""
        with ExitStack() as held:
            for backend in self.backends.values():
                held.enter_context(backend.looking.held())
            yield

    async def describe(self, backend: str | None = None) -> builtins.list[BackendInfo]:
        """One backend or all, with what they can do and what is free. Errors: UnknownBackend."""
        wanted = [self.backend(backend)] if backend else [*self.backends.values()]
        seconds = self._patience(wanted)
        return [*await asyncio.gather(*(self._describe(one, seconds) for one in wanted))]

    async def _describe(self, backend: Backend, seconds: float) -> BackendInfo:
        backend.looking.once()
        parts: dict[str, Any] = {}
        problem, refused = self._known_down(backend), backend.name in self.feed.refused
        if problem is None and (error := await self._look(backend, parts, seconds)):
            problem, refused = str(error), isinstance(error, Unauthorized)
        return BackendInfo(
            name=backend.name,
            title=backend.title,
            type=backend.type,
            capabilities=backend.capabilities(),
            health=Health(problem is None, problem),
            refused=refused,
            name_rule=backend.name_rule,
            is_default=backend.name == self.config.default_backend,
            storage=backend.storage,
            types=[*backend.types],
            takes=sorted(backend.takes),
            image_word=backend.image_word,
            on_this_machine=backend.on_this_machine,
            first_come=backend.first_come,
            sign_in=await asyncio.to_thread(state_of, backend),
            removable=backend.name in self.additions.added,
            **parts,
        )

    async def _look(self, backend: Backend, parts: dict[str, Any], seconds: float) -> SessionError | None:
        """Fill in what a backend says of itself; answers what went wrong."""
        can = backend.capabilities()
        try:
            async with asyncio.timeout(seconds):
                parts["images"] = await backend.images() if "images" in can else []
                parts["capacity"] = await backend.capacity() if "capacity" in can else {}
                parts["default_resources"] = format_slots(await backend.default_resources({}))
                parts["suggested_resources"] = format_slots(await backend.suggested_resources())
                parts |= structs.asdict(await backend.choices())
        except Exception as error:
            return translated(backend, error, seconds)
        return None

    def _patience(self, asked: Collection[object]) -> float:
        """Seconds for a look at backends: none waits long for another, nor for what the feed will push."""
        return LOOK_SECONDS if self.feed.running or len(asked) > 1 else GET_SECONDS

    def _known_down(self, backend: Backend) -> str | None:
        """What ails a backend that is not worth waiting for; it is tried again soon."""
        if not self.feed.running or backend.name not in self.feed.errors:
            return None
        self.feed.nudge(backend.name)
        return self.feed.errors[backend.name]

    # Backends, and who uses them.

    async def sign_in(self, backend: str, given: Credentials, *, remember: bool = False) -> None:
        """Sign in to a backend; see `Backend.sign_in`. Nothing changes if it refuses."""
        await self.additions.sign_in(self.backend(backend), given, remember=remember)

    async def sign_out(self, backend: str) -> None:
        """Forget what somebody signed in to a backend with."""
        await self.additions.sign_out(self.backend(backend))

    async def add_backend(self, wanted: NewBackend) -> str:
        """Offer one more backend from now on, if something of its type is there; says what. See `Additions.add`."""
        return await self.additions.add(wanted)

    async def remove_backend(self, name: str) -> None:
        """Offer a backend no more that a person added; sessions there stay. Errors: Forbidden for another one."""
        await self.additions.remove(self.backend(name))

    async def take_over(self, backend: str) -> None:
        """Have a manager of this version look after a backend's sessions. Errors: NotSupported, of others."""
        place = self.backend(backend)
        await ask(place, place.take_over(), ACT_SECONDS, acts=True)
        self.feed.watch(place)

    # Doing.

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Request a session, and return its row at once, `reused` if it is the live one of that name and image."""
        backend, spec = self._completed(spec)
        backend.name_rule.check(spec.name or "")
        row = self._noted(await ask(backend, self._creation.create(backend, spec), ACT_SECONDS, acts=True))
        self.notifications.register(backend, row, spec)
        return row

    async def create_many(self, spec: SessionSpec) -> builtins.list[SessionInfo]:
        """Request a spec's `replicas` at once; see `SessionCreation.create_many`."""
        backend, spec = self._completed(spec)
        work = self._creation.create_many(backend, spec)
        rows = [self._noted(row) for row in await ask(backend, work, ACT_SECONDS, acts=True)]
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
        """End or cancel a session; its row as it is then, also if it has ended before."""
        place = self.backend(backend)
        try:
            work = place.destroy(id, forced=forced, recursive=recursive)
            row = await ask(place, work, ACT_SECONDS, acts=True)
        except SessionNotFound:
            row = await self.get(backend, id)
        return self._noted(row)

    async def restart(self, backend: str, id: str) -> SessionInfo:
        """Restart a session."""
        place = self.backend(backend)
        return self._noted(await self._act(place, id, place.restart(id), RESTART_SECONDS))

    async def rename(self, backend: str, id: str, name: str) -> SessionInfo:
        """Call a session otherwise."""
        place = self.backend(backend)
        place.name_rule.check(name)
        return self._noted(await self._act(place, id, place.rename(id, name), ACT_SECONDS))

    async def renew(self, backend: str, id: str) -> SessionInfo:
        """Put off the end of a session."""
        place = self.backend(backend)
        return self._noted(await self._act(place, id, place.renew(id), ACT_SECONDS))

    async def record_use(self, backend: str, id: str) -> None:
        """Somebody works in a session through a service port."""
        place = self.backend(backend)
        await ask(place, place.record_use(id), GET_SECONDS)

    async def set_environ(self, backend: str, id: str, environ: dict[str, str]) -> None:
        """Set variables for the processes of a session that start from now on."""
        place = self.backend(backend)
        await ask(place, place.set_environ(id, environ), GET_SECONDS)

    def wait(
        self, backend: str, id: str, until: Callable[[SessionInfo], bool], *, every: bool = False
    ) -> AsyncIterator[SessionInfo]:
        """The session's rows as they change; see `waiting.wait`."""
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
        """What a session printed."""
        place = self.backend(backend)
        return await ask(place, place.logs(id), GET_SECONDS)

    async def events(self, backend: str, id: str) -> builtins.list[Event]:
        """What has happened to a session, oldest first."""
        place = self.backend(backend)
        return await ask(place, place.events(id), GET_SECONDS)

    async def outputs(self, backend: str, id: str, which: Selection) -> Outputs:
        """What a session printed, by execution; see `Backend.outputs`."""
        place = self.backend(backend)
        return await ask(place, place.outputs(id, which), GET_SECONDS)

    async def open_service(self, backend: str, id: str, name: str, base_url: str) -> Endpoint:
        """Where a service port listens; started if need be. Errors: NoRoom, ServiceEnded."""
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
        """The end of what a service printed."""
        place = self.backend(backend)
        return await ask(place, place.service_log(id, name), GET_SECONDS)

    async def connection(
        self, backend: str, id: str, owner: ProcessId | None = None, patience: float = 0
    ) -> KernelConnection:
        """How to reach the kernel of a session; see `Backend.connection`."""
        place = self.backend(backend)
        return await self._act(place, id, place.connection(id, owner, patience), GET_SECONDS)

    async def _act(self, place: Backend, id: str, work: Awaitable[T], seconds: float) -> T:
        """What a backend answers to something that is done to a live session."""
        try:
            return await ask(place, work, seconds, acts=True)
        except SessionNotFound as error:
            raise await self._explained(place, id, error) from error

    async def _explained(self, place: Backend, id: str, error: SessionError) -> SessionError:
        """NotRunning if the session has ended: many backends know nothing of it then, or break off what went on."""
        with suppress(SessionError):
            row = await ask(place, place.get(id), GET_SECONDS)
            if not row.live or row.status == "TERMINATING":
                return NotRunning(
                    standing(row.name, row.status, row.status_info), hint="Create the session again."
                )
        return error

    def _noted(self, row: SessionInfo) -> SessionInfo:
        row = without_values(displayed(row))
        if backend := self.backends.get(row.backend):
            if self.feed.watches(row.backend):
                self.feed.put(row)
            if unsettled([row]):
                backend.looking.hurry()
        return row
