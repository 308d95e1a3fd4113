"""The backends of a process: what they are, how they are, and who is signed in to them."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from msgspec import structs

from jupyter_sessions.amounts import format_slots
from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.signin import Credentials
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import SessionError, Unauthorized
from jupyter_sessions.service.deadlines import (
    ACT_SECONDS,
    GET_SECONDS,
    LOOK_SECONDS,
    ask,
    state_of,
    translated,
)
from jupyter_sessions.service.feed import Feed
from jupyter_sessions.service.info import BackendInfo, Defaults, Health, NewBackend
from jupyter_sessions.service.lookup import expiries, notices
from jupyter_sessions.service.registry import BackendFactory, pick
from jupyter_sessions.service.user_backends import Additions


class BackendService:
    """The operations of `SessionService` on backends."""

    def __init__(self, config: JupyterSessions, kernel_spec_manager: Any = None) -> None:
        self.config = config
        self.additions = Additions(config, BackendFactory(config, kernel_spec_manager))
        self.backends = self.additions.backends
        self.feed = self.additions.feed = Feed()

    def backend(self, name: str | None = None) -> Backend:
        """Return a backend by name, or the default one. Errors: UnknownBackend."""
        return pick(self.backends, name or self.config.default_backend)

    async def expiries_and_notices(self, names: Collection[str] | None = None) -> dict[str, Any]:
        """Return when the credentials of backends expire, and the notices about them, for a listing."""
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

    async def defaults(self) -> Defaults:
        """Return what completes a spec."""
        storage = {name: backend.storage for name, backend in self.backends.items()}
        places = {name: backend.place or name for name, backend in self.backends.items()}
        notifies = [name for name, backend in self.backends.items() if backend.notifies]
        can = {name: backend.capabilities() for name, backend in self.backends.items()}
        return Defaults(self.config.default_backend, self.config.presets, storage, places, can, notifies)

    def look(self) -> None:
        """Note that somebody looks: try failed backends again, and poll all of them more often for a while."""
        for backend in self.backends.values():
            backend.looking.once()
            self._known_problem(backend)

    @contextmanager
    def looked_at(self) -> Iterator[None]:
        """Poll all backends often until the context is left."""
        with ExitStack() as held:
            for backend in self.backends.values():
                held.enter_context(backend.looking.held())
            yield

    async def describe(self, backend: str | None = None) -> builtins.list[BackendInfo]:
        """Return a description of one backend or of all. Errors: UnknownBackend."""
        wanted = [self.backend(backend)] if backend else [*self.backends.values()]
        seconds = self._deadline(wanted)
        return [*await asyncio.gather(*(self._describe(one, seconds) for one in wanted))]

    async def _describe(self, backend: Backend, seconds: float) -> BackendInfo:
        backend.looking.once()
        parts: dict[str, Any] = {}
        problem, refused = self._known_problem(backend), backend.name in self.feed.refused
        if problem is None and (error := await self._fill_in(backend, parts, seconds)):
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

    async def _fill_in(self, backend: Backend, parts: dict[str, Any], seconds: float) -> SessionError | None:
        """Add to `parts` what the server of a backend says, and return the error if that fails."""
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

    def _deadline(self, asked: Collection[object]) -> float:
        """Return the seconds for a look at backends: fewer if others wait, or if the feed reports the result later."""
        return LOOK_SECONDS if self.feed.running or len(asked) > 1 else GET_SECONDS

    def _known_problem(self, backend: Backend) -> str | None:
        """Return the problem of a backend that is known to fail, and have the feed try it again soon."""
        if not self.feed.running or backend.name not in self.feed.errors:
            return None
        self.feed.nudge(backend.name)
        return self.feed.errors[backend.name]

    async def sign_in(self, backend: str, given: Credentials, *, remember: bool = False) -> None:
        """Sign in to a backend; nothing changes if it refuses. See `Backend.sign_in`."""
        await self.additions.sign_in(self.backend(backend), given, remember=remember)

    async def sign_out(self, backend: str) -> None:
        """Sign out of a backend."""
        await self.additions.sign_out(self.backend(backend))

    async def add_backend(self, wanted: NewBackend) -> str:
        """Add a backend if a server of its type answers, and return what answers. See `Additions.add`."""
        return await self.additions.add(wanted)

    async def remove_backend(self, name: str) -> None:
        """Remove a backend that a person added; its sessions stay. Errors: Forbidden for any other backend."""
        await self.additions.remove(self.backend(name))

    async def take_over(self, backend: str) -> None:
        """Replace a backend's manager by one of this version; see `Backend.take_over`."""
        place = self.backend(backend)
        await ask(place, place.take_over(), ACT_SECONDS, acts=True)
        self.feed.watch(place)
