"""Sessions on all backends, for every face: one that is down never breaks the others."""

from __future__ import annotations

import asyncio
import builtins
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from jupyter_sessions.backends.base import Backend, Output, Query
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import InvalidRequest, NotRunning, SessionError, SessionNotFound
from jupyter_sessions.model import (
    Amount,
    Endpoint,
    Image,
    KernelConnection,
    NameRule,
    ProcessId,
    SessionInfo,
    SessionSpec,
    in_group,
    parse_slots,
)
from jupyter_sessions.service.asking import (
    ACT_SECONDS,
    GET_SECONDS,
    LOOK_SECONDS,
    RESTART_SECONDS,
    ask,
    follow,
    translated,
)
from jupyter_sessions.service.feed import Feed
from jupyter_sessions.service.finding import Listing, find
from jupyter_sessions.service.order import NEWEST, ordering
from jupyter_sessions.service.registry import make_backends, pick

T = TypeVar("T")


class BackendInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A backend as faces see it."""

    name: str
    title: str
    type: str
    capabilities: list[str]
    health: dict[str, Any]
    name_rule: NameRule
    is_default: bool = False
    capacity: dict[str, Amount] = {}
    images: list[Image] = []
    default_resources: dict[str, str] = {}
    sizes: list[Any] = []
    groups: list[str] = []
    folders: list[str] = []


class Defaults(msgspec.Struct, frozen=True):
    """What fills in a spec: the backend of one that names none, and saved specs by name."""

    backend: str
    presets: dict[str, dict[str, Any]]


class Service:
    """Everything one can do with sessions, on whichever backend they are."""

    def __init__(self, config: JupyterSessions, kernel_spec_manager: Any = None, folder: str = "") -> None:
        """`folder` is where working folders are relative to; empty for the process's own."""
        self.config = config
        self.folder = folder
        self.backends = make_backends(config, kernel_spec_manager)
        self.feed = Feed()

    def backend(self, name: str | None = None) -> Backend:
        """A backend by name, or the default one. Errors: UnknownBackend."""
        return pick(self.backends, name or self.config.default_backend)

    async def alive(self) -> bool:
        """True: it is here."""
        return True

    async def close(self) -> None:
        """Let go of all backends; sessions stay."""
        await self.feed.stop()
        await asyncio.gather(*(backend.close() for backend in self.backends.values()), return_exceptions=True)

    # Looking.

    async def list(
        self,
        *,
        status: str = "live",
        backend: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        order: str = NEWEST,
    ) -> Listing:
        """Sessions of one backend or all, in `order` (see `ordering`), most recently changed first.

        Errors: InvalidRequest, UnknownBackend. What fails in a backend is in the listing's errors.
        """
        in_group("PENDING", status)
        sort = ordering(order)
        names = [self.backend(backend).name] if backend else [*self.backends]
        most = None if limit is None else limit + offset
        query = Query(status=status, limit=most if order == NEWEST else None)
        results = await asyncio.gather(*(self._list_one(self.backends[name], query) for name in names))
        rows = [row for result in results if not isinstance(result, str) for row in result]
        errors = {name: said for name, said in zip(names, results, strict=True) if isinstance(said, str)}
        return Listing(sort(rows)[offset:most], errors)

    async def _list_one(self, backend: Backend, query: Query) -> builtins.list[SessionInfo] | str:
        """Rows, or what went wrong. Who is known to be down is not waited for."""
        if query.status == "live" and backend.name in self.feed.synced:
            return self.feed.rows(backend.name)
        if problem := self._known_down(backend):
            return problem
        try:
            return await ask(backend, backend.list(query), self._patience)
        except SessionError as error:
            if self.feed.running and backend.name not in self.feed.synced:
                self.feed.errors[backend.name] = str(error)
            return str(error)

    async def get(self, backend: str, id: str) -> SessionInfo:
        """One session by its full id. Errors: SessionNotFound, UnknownBackend."""
        place = self.backend(backend)
        return self._noted(await ask(place, place.get(id), GET_SECONDS))

    async def find(self, ref: str) -> SessionInfo:
        """A session by "backend/NAME", id or name; see `finding.find`."""
        return await find(self, ref)

    async def defaults(self) -> Defaults:
        """What fills in a spec."""
        return Defaults(self.config.default_backend, self.config.presets)

    async def describe(self, backend: str | None = None) -> builtins.list[BackendInfo]:
        """One backend or all, with what they can do and what is free. Errors: UnknownBackend."""
        wanted = [self.backend(backend)] if backend else [*self.backends.values()]
        return [*await asyncio.gather(*map(self._describe, wanted))]

    async def _describe(self, backend: Backend) -> BackendInfo:
        parts: dict[str, Any] = {}
        problem = self._known_down(backend) or await self._look(backend, parts)
        return BackendInfo(
            name=backend.name,
            title=backend.title,
            type=backend.type,
            capabilities=backend.capabilities(),
            health={"ok": problem is None, "message": problem},
            name_rule=backend.name_rule,
            is_default=backend.name == self.config.default_backend,
            **parts,
        )

    async def _look(self, backend: Backend, parts: dict[str, Any]) -> str | None:
        """Fill in what a backend says of itself; answers what went wrong."""
        can, seconds = backend.capabilities(), self._patience
        try:
            async with asyncio.timeout(seconds):
                parts["images"] = await backend.images() if "images" in can else []
                parts["capacity"] = await backend.capacity() if "capacity" in can else {}
                parts["default_resources"] = await backend.default_resources({})
        except Exception as error:
            return str(translated(backend, error, seconds))
        return None

    @property
    def _patience(self) -> float:
        """Seconds for a look at a backend that others must not wait for."""
        return LOOK_SECONDS if self.feed.running else GET_SECONDS  # Here what comes late is pushed.

    def _known_down(self, backend: Backend) -> str | None:
        """What ails a backend that is not worth waiting for; it is tried again soon."""
        if not self.feed.running or backend.name not in self.feed.errors:
            return None
        self.feed.nudge(backend.name)
        return self.feed.errors[backend.name]

    # Doing.

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Ask for a session; its row at once, `reused` if a live one of that name and image came back."""
        spec = self._with_preset(spec)
        backend = self.backend(spec.backend)
        spec.backend = backend.name
        if self.folder:
            spec.cwd = os.path.join(self.folder, os.path.expanduser(spec.cwd or ""))  # noqa: ASYNC240
        if spec.name is None:
            spec.name = f"{(spec.image or 'session').split('/')[-1].split(':')[0]}-{secrets.token_hex(3)}"
        backend.name_rule.check(spec.name)
        return self._noted(await ask(backend, _create(backend, spec), ACT_SECONDS, acts=True))

    def _with_preset(self, spec: SessionSpec) -> SessionSpec:
        if spec.preset is None:
            return spec
        presets = self.config.presets
        if spec.preset not in presets:
            known = ", ".join(presets) or "none"
            raise InvalidRequest(
                f"preset: there is no preset '{spec.preset}'.", hint=f"There are: {known}.", field="preset"
            )
        given = msgspec.to_builtins(spec)
        merged = {**presets[spec.preset], **given}
        for key in ("resources", "environ"):
            merged[key] = {**presets[spec.preset].get(key, {}), **given.get(key, {})}
        return msgspec.convert({k: v for k, v in merged.items() if k != "preset"}, SessionSpec)

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

    async def wait(
        self, backend: str, id: str, until: Callable[[SessionInfo], bool]
    ) -> AsyncIterator[SessionInfo]:
        """The session's rows as they change, the last of them one that `until` holds for."""
        changed = asyncio.Event()
        stop = self.feed.listen(lambda batch: changed.set())
        seen: SessionInfo | None = None
        pause = 0.02
        try:
            while True:
                row = await self.get(backend, id)
                if seen is None or row.face() != seen.face():
                    yield row
                if until(row):
                    return
                seen = row
                changed.clear()
                try:
                    await asyncio.wait_for(changed.wait(), pause)
                except TimeoutError:
                    pause = min(pause * 1.5, 1.0)
        finally:
            stop()

    async def execute(
        self, backend: str, id: str, code: str, *, stdin: bool = False
    ) -> AsyncIterator[Output]:
        """Run code in a session; see `Backend.execute`."""
        place = self.backend(backend)
        try:
            async for output in follow(place, place.execute(id, code, stdin=stdin)):
                yield output
        except SessionNotFound as error:
            raise await self._why_not_found(place, id, error) from error

    async def interrupt(self, backend: str, id: str) -> None:
        """Interrupt what runs in a session."""
        place = self.backend(backend)
        await self._act(place, id, place.interrupt(id), GET_SECONDS)

    async def input(self, backend: str, id: str, run: str, text: str) -> None:
        """Answer a run that asked for input."""
        place = self.backend(backend)
        await self._act(place, id, place.input(id, run, text), GET_SECONDS)

    async def logs(self, backend: str, id: str) -> str:
        """What a session printed."""
        place = self.backend(backend)
        return await ask(place, place.logs(id), GET_SECONDS)

    async def open_service(self, backend: str, id: str, name: str, base_url: str) -> Endpoint:
        """Where a service port listens; started if need be."""
        place = self.backend(backend)
        return await self._act(place, id, place.open_service(id, name, base_url), ACT_SECONDS)

    async def service_log(self, backend: str, id: str, name: str) -> str:
        """The end of what a service printed."""
        place = self.backend(backend)
        return await ask(place, place.service_log(id, name), GET_SECONDS)

    async def connection(self, backend: str, id: str, owner: ProcessId | None = None) -> KernelConnection:
        """How to reach the kernel of a running session; see `Backend.connection`."""
        place = self.backend(backend)
        return await self._act(place, id, place.connection(id, owner), GET_SECONDS)

    async def _act(self, place: Backend, id: str, work: Awaitable[T], seconds: float) -> T:
        """What a backend answers to something that is done to a live session."""
        try:
            return await ask(place, work, seconds, acts=True)
        except SessionNotFound as error:
            raise await self._why_not_found(place, id, error) from error

    async def _why_not_found(self, place: Backend, id: str, error: SessionNotFound) -> SessionError:
        """Many backends know nothing of ended sessions when something is to be done to them."""
        with suppress(SessionError):
            row = await ask(place, place.get(id), GET_SECONDS)
            if not row.live:
                why = f" ({row.status_info})" if row.status_info else ""
                return NotRunning(
                    f"The session '{row.name}' has ended, {row.status}{why}.", hint="Create it anew."
                )
        return error

    def _noted(self, row: SessionInfo) -> SessionInfo:
        if self.feed.running:
            self.feed.put(row)
        return row


async def _create(backend: Backend, spec: SessionSpec) -> SessionInfo:
    asked = {name: value for name, value in spec.resources.items() if value not in (None, "")}
    parse_slots(asked)
    spec.resources = {**(await backend.default_resources(asked)), **asked}
    return await backend.create(spec)
