"""Backends that come and go while this runs, and who is signed in to them, here or by another process."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.files import Stamp
from jupyter_sessions.backends.signin import Credentials, SignIn
from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.errors import AlreadyExists, Forbidden, InvalidRequest, SessionError, Unauthorized
from jupyter_sessions.service import user_backends_file
from jupyter_sessions.service.deadlines import GET_SECONDS, ask, state_of
from jupyter_sessions.service.feed import Feed
from jupyter_sessions.service.info import BackendType, NewBackend
from jupyter_sessions.service.registry import BackendFactory

log = logging.getLogger("jupyter_sessions")

LOOK_SECONDS = 2.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_OWN = frozenset({"name", "type", "title"})
_SECRETS = frozenset({"access_key", "secret_key", "username", "password", "token"})


class _State(NamedTuple):
    """What differs once somebody has other credentials."""

    where: str
    sign_in: SignIn
    stamp: Stamp | None

    def is_another(self, before: _State) -> bool:
        """Whether it may be another person since then, who has other sessions: tokens do not say whose they are.

        Of who has signed out the sessions stay to be seen.
        """
        now, then = self.sign_in, before.sign_in
        return self.where != before.where or (now.signed_in and (not now.who or now.who != then.who))


def _state(backend: Backend) -> _State:
    try:
        where = backend.address()
    except SessionError:
        where = ""
    return _State(where, state_of(backend), backend.credential_store.stamp())


class Additions:
    """The backends of a service; `backends` is kept up to date, and so are those that `feed` watches."""

    feed: Feed

    def __init__(self, config: JupyterSessions, maker: BackendFactory) -> None:
        self._config = config
        self._maker = maker
        self.added = user_backends_file.known()
        self.backends = maker.all(self.added)
        self.added = {name: options for name, options in self.added.items() if name not in config.backends}
        self._one = asyncio.Lock()
        self._states: dict[str, _State] = {}

    def types(self) -> list[BackendType]:
        """The types of which one may add backends."""
        kinds = self._maker.types.items()
        return [BackendType(name, kind.type_title or name) for name, kind in kinds if kind.address_option]

    async def add(self, wanted: NewBackend) -> str:
        """Try the address of a backend, and if something of its type is there keep it; says what is there.

        Errors: InvalidRequest, AlreadyExists, Forbidden, or why it cannot be reached. Then nothing is kept.
        """
        self._check_name(wanted.name)
        options = self._options(wanted)
        backend = self._maker.one(wanted.name, options)
        if backend is None:
            raise InvalidRequest(
                f"No backend of type {wanted.type} can be made of these options.", hint="Correct them."
            )
        try:
            found = await ask(backend, backend.probe(), GET_SECONDS)
        finally:
            await backend.close()
        address = self._maker.types[wanted.type].address_option
        kept = {"type": wanted.type} | backend.options | {address: options[address]}
        if wanted.title:
            kept["title"] = wanted.title
        async with self._one:
            with (
                user_backends_file.changing() as backends
            ):  # Somebody else may have taken the name meanwhile.
                self._check_name(wanted.name)
                backends[wanted.name] = kept
            await self._look()
        return found

    async def remove(self, backend: Backend) -> None:
        """Let go of a backend, and of what somebody signed in to it with. Errors: Forbidden for one that is configured."""
        if backend.name not in self.added:
            raise Forbidden(
                f"The backend '{backend.name}' is part of the configuration.",
                hint="Remove it there, or ask who runs this server.",
            )
        async with self._one:
            backend.credential_store.forget()
            with user_backends_file.changing() as backends:
                backends.pop(backend.name, None)
            await self._look()

    async def sign_in(self, backend: Backend, given: Credentials, *, remember: bool) -> None:
        """Sign in, and look at the backend anew; see `Backend.sign_in`."""
        before = await asyncio.to_thread(_state, backend)
        try:
            await ask(backend, backend.sign_in(given, remember=remember), GET_SECONDS)
        except Unauthorized as error:
            if not error.field:
                error.message, error.hint = error.message.rstrip(".") + ".", "Correct it and try again."
            raise
        await self._watch(backend, before)

    async def sign_out(self, backend: Backend) -> None:
        """Sign out, and look at the backend anew."""
        before = await asyncio.to_thread(_state, backend)
        await backend.sign_out()
        await self._watch(backend, before)

    async def _watch(self, backend: Backend, before: _State) -> None:
        """Watch it anew, as whoever is signed in by now."""
        async with self._one:
            if self.backends.get(backend.name) is backend:
                now = self._states[backend.name] = await asyncio.to_thread(_state, backend)
                self.feed.watch(backend, forget=now.is_another(before))

    async def look(self) -> None:
        """Take up and leave what the file of added backends has come to name or not; see to changed credentials."""
        async with self._one:
            await self._look()

    async def _look(self) -> None:
        now = await asyncio.to_thread(user_backends_file.read)
        now = {name: options for name, options in now.items() if name not in self._config.backends}
        if now != self.added:
            await self._take(now)
        for name, state in (await asyncio.to_thread(self._look_at_credentials)).items():
            before, self._states[name] = self._states.get(name, state), state
            if state != before:
                await self.backends[name].reconnect()
                self.feed.watch(self.backends[name], forget=state.is_another(before))

    async def keep_looking(self) -> None:
        """Look every other second, for ever."""
        while True:
            try:
                await self.look()
            except Exception as error:  # Somebody edits the file, or a folder is away for a while.
                log.debug("Added backends and credentials cannot be looked at: %s", error)
            await asyncio.sleep(LOOK_SECONDS)

    def _look_at_credentials(self) -> dict[str, _State]:
        return {name: _state(backend) for name, backend in [*self.backends.items()]}

    async def _take(self, now: dict[str, dict[str, Any]]) -> None:
        before, self.added = self.added, now
        for name in [name for name in before if now.get(name) != before[name]]:
            self._states.pop(name, None)
            self.feed.leave(name)
            if gone := self.backends.pop(name, None):
                await gone.close()
        for name in [name for name in now if name not in self.backends and self._maker.offers(name)]:
            if made := self._maker.one(name, now[name]):
                self.backends[name] = made
                self.feed.watch(made)

    def _check_name(self, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"'{name[:80]}' cannot be the name of a backend.",
                hint="Use up to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit.",
                field="name",
            )
        mine = self.added.keys() | user_backends_file.read()
        if name in self.backends or name in self._config.backends or name in mine:
            whose = "you have added" if name in mine else "of the configuration"
            raise AlreadyExists(
                f"'{name}' is a backend {whose} already.", hint="Use another name.", field="name"
            )
        if not self._maker.offers(name):
            offered = ", ".join(self._config.enabled_backends)
            raise Forbidden(
                f"The configuration offers no other backends than {offered}.",
                hint="Ask who runs this server.",
                field="name",
            )

    def _options(self, wanted: NewBackend) -> dict[str, Any]:
        kind = self._maker.types.get(wanted.type)
        if kind is None or not kind.address_option:
            known = ", ".join(each.type for each in self.types())
            raise InvalidRequest(
                f"There is no backend of type '{wanted.type}' to add.",
                hint=f"Choose from: {known}.",
                field="type",
            )
        if own := sorted(_OWN & wanted.options.keys()):
            raise InvalidRequest(f"'{own[0]}' is no option.", hint="Give it by itself.", field=own[0])
        if secrets := sorted(_SECRETS & wanted.options.keys()):
            raise InvalidRequest(
                f"The option '{secrets[0]}' does not belong into a file.",
                hint="Sign in once the backend is there.",
                field=secrets[0],
            )
        title = {"title": wanted.title} if wanted.title else {}
        return {"type": wanted.type, **wanted.options, **title, kind.address_option: _address(wanted.url)}


def _address(url: str) -> str:
    """An address for people's backends. Errors: InvalidRequest for one that is none, or holds a password."""
    try:
        parts = [urlsplit(one) for one in url.strip().split(",")]
        good = all(part.scheme in ("http", "https") and part.hostname for part in parts)
        bare = not any(part.username or part.password or part.query or part.fragment for part in parts)
    except ValueError:
        good = bare = False
    if not good or not bare:
        what = "holds more than an address" if good else "is no address"
        hint = "Give one such as https://HOST."
        raise InvalidRequest(f"The URL {what}.", hint=hint, field="url")
    return url.strip()
