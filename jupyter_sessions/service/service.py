"""Sessions on all backends, for every face: one that is down never breaks the others."""

from __future__ import annotations

import asyncio
import builtins
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from jupyter_sessions.backends.base import Backend, Output, Query
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import BackendTimeout, InvalidRequest, SessionError
from jupyter_sessions.model import (
    Amount,
    Endpoint,
    Image,
    NameRule,
    SessionInfo,
    SessionSpec,
    in_group,
    parse_slots,
)
from jupyter_sessions.service.feed import Feed
from jupyter_sessions.service.finding import Listing, find
from jupyter_sessions.service.registry import make_backends, pick

PATIENCE_SECONDS = 15.0

T = TypeVar("T")


class BackendInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A backend as faces see it."""

    name: str
    title: str
    type: str
    capabilities: list[str]
    health: dict[str, Any]
    name_rule: NameRule
    capacity: dict[str, Amount] = {}
    images: list[Image] = []
    default_resources: dict[str, str] = {}
    sizes: list[Any] = []
    groups: list[str] = []
    folders: list[str] = []


class Service:
    """Everything one can do with sessions, on whichever backend they are."""

    def __init__(self, config: JupyterSessions, kernel_spec_manager: Any = None) -> None:
        self.config = config
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
        self, *, status: str = "live", backend: str | None = None, limit: int | None = None, offset: int = 0
    ) -> Listing:
        """Sessions of one backend or all, most recently changed first. Errors: InvalidRequest, UnknownBackend."""
        in_group("PENDING", status)
        names = [self.backend(backend).name] if backend else [*self.backends]
        most = None if limit is None else limit + offset
        query = Query(status=status, limit=most)
        results = await asyncio.gather(*(self._list_one(self.backends[name], query) for name in names))
        rows: builtins.list[SessionInfo] = []
        errors: dict[str, str] = {}
        for name, result in zip(names, results, strict=True):
            if isinstance(result, SessionError):
                errors[name] = str(result)
            else:
                rows += result
        rows.sort(key=lambda row: row.status_changed.timestamp() if row.status_changed else 0, reverse=True)
        return Listing(rows[offset:most], errors)

    async def _list_one(self, backend: Backend, query: Query) -> builtins.list[SessionInfo] | SessionError:
        if query.status == "live" and backend.name in self.feed.synced:
            return self.feed.rows(backend.name)
        try:
            return await _patiently(backend, backend.list(query))
        except SessionError as error:
            return error

    async def get(self, backend: str, id: str) -> SessionInfo:
        """One session by its full id. Errors: SessionNotFound, UnknownBackend."""
        row = await self.backend(backend).get(id)
        self._note(row)
        return row

    async def find(self, ref: str) -> SessionInfo:
        """A session by "backend/NAME", id or name; see `finding.find`."""
        return await find(self, ref)

    async def describe(self) -> builtins.list[BackendInfo]:
        """All backends, with what they can do and what is free."""
        return [*await asyncio.gather(*(self._describe(backend) for backend in self.backends.values()))]

    async def _describe(self, backend: Backend) -> BackendInfo:
        can = backend.capabilities()
        health: dict[str, Any] = {"ok": True, "message": None}
        parts: dict[str, Any] = {}
        try:
            parts["images"] = await _patiently(backend, backend.images()) if "images" in can else []
            parts["capacity"] = await _patiently(backend, backend.capacity()) if "capacity" in can else {}
            parts["default_resources"] = await _patiently(backend, backend.default_resources({}))
        except SessionError as error:
            health = {"ok": False, "message": str(error)}
        return BackendInfo(
            name=backend.name,
            title=backend.title,
            type=backend.type,
            capabilities=can,
            health=health,
            name_rule=backend.name_rule,
            **parts,
        )

    # Doing.

    async def create(self, spec: SessionSpec) -> SessionInfo:
        """Ask for a session; its row at once, `reused` if a live one of that name and image came back."""
        spec = self._with_preset(spec)
        backend = self.backend(spec.backend)
        spec.backend = backend.name
        if spec.name is None:
            spec.name = f"{(spec.image or 'session').split('/')[-1].split(':')[0]}-{secrets.token_hex(3)}"
        backend.name_rule.check(spec.name)
        asked = {name: value for name, value in spec.resources.items() if value not in (None, "")}
        parse_slots(asked)
        spec.resources = {**(await backend.default_resources(asked)), **asked}
        row = await backend.create(spec)
        self._note(row)
        return row

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

    async def destroy(self, backend: str, id: str, *, forced: bool = False, recursive: bool = False) -> SessionInfo:
        """End or cancel a session; its row as it is then."""
        return self._noted(await self.backend(backend).destroy(id, forced=forced, recursive=recursive))

    async def restart(self, backend: str, id: str) -> SessionInfo:
        """Restart a session."""
        return self._noted(await self.backend(backend).restart(id))

    async def rename(self, backend: str, id: str, name: str) -> SessionInfo:
        """Call a session otherwise."""
        return self._noted(await self.backend(backend).rename(id, name))

    async def wait(self, backend: str, id: str, until: Callable[[SessionInfo], bool]) -> AsyncIterator[SessionInfo]:
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

    def execute(self, backend: str, id: str, code: str, *, stdin: bool = False) -> AsyncIterator[Output]:
        """Run code in a session; see `Backend.execute`."""
        return self.backend(backend).execute(id, code, stdin=stdin)

    async def interrupt(self, backend: str, id: str) -> None:
        """Interrupt what runs in a session."""
        await self.backend(backend).interrupt(id)

    async def input(self, backend: str, id: str, run: str, text: str) -> None:
        """Answer a run that asked for input."""
        await self.backend(backend).input(id, run, text)

    async def logs(self, backend: str, id: str) -> str:
        """What a session printed."""
        return await self.backend(backend).logs(id)

    async def open_service(self, backend: str, id: str, name: str, base_url: str) -> Endpoint:
        """Where a service port listens; started if need be."""
        return await self.backend(backend).open_service(id, name, base_url)

    async def service_log(self, backend: str, id: str, name: str) -> str:
        """The end of what a service printed."""
        return await self.backend(backend).service_log(id, name)

    def _noted(self, row: SessionInfo) -> SessionInfo:
        self._note(row)
        return row

    def _note(self, row: SessionInfo) -> None:
        if self.feed.running:
            self.feed.put(row)


async def _patiently(backend: Backend, work: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await work
    except TimeoutError:
        raise BackendTimeout(f"{backend.title} did not answer within {PATIENCE_SECONDS:.0f} s.") from None
