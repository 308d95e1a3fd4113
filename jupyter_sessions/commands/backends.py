"""The verbs about backends: list, add and remove them, sign in and out.

These verbs run in this process, because kernels may not ask their Jupyter server to; the server sees the files that
they write. Credentials that are not saved to a file go to the user's Jupyter servers, which keep them in memory.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from jupyter_sessions._version import __version__
from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.backends.signin import CredentialField, Credentials, SignInMethod
from jupyter_sessions.client import Api, servers
from jupyter_sessions.client.loop_thread import Say
from jupyter_sessions.commands.result import Json, Nothing, Result, Table, plain
from jupyter_sessions.commands.verbs import pairs
from jupyter_sessions.errors import InvalidRequest, NotSupported, SessionError
from jupyter_sessions.service import NewBackend, SessionService, configuration, state_of

_OPTIONS = {"user": "password", "keypair": "keypair", "token": "token", "certificate": "certificate"}
_GIVEN = {"user": "username", "keypair": "access_key", "certificate": "certificate"}


async def questions(api: Api, asked: Namespace) -> list[CredentialField]:
    """Return the credential fields to ask a person for before `perform`, which takes the answers as `asked.answers`.

    Errors: InvalidRequest for a sign-in method that the backend does not support; NotSupported if nothing could keep
    the answers.
    """
    if asked.verb != "login":
        return []
    async with _service(api) as service:
        method = _method(service.backend(asked.backend), asked)
    if not _is_kept(api, asked) and not servers.running():
        hint = "Add `--save`: a file that only you can read keeps it."
        raise NotSupported("No Jupyter server of yours runs here to hold a sign-in.", hint=hint)
    known = _values(asked)
    return [field for field in method.fields if not known.get(field.name)]


async def login(api: Api, asked: Namespace, say: Say) -> Result:
    """Sign in to a backend."""
    async with _service(api) as service:
        backend = service.backend(asked.backend)
        given = Credentials(_method(backend, asked).name, _values(asked) | asked.answers)
        if _is_kept(api, asked):
            await service.sign_in(backend.name, given, remember=asked.save)
            where = f". The credentials are saved in {backend.ring.path}" if asked.save else ""
        else:
            where = f" on {', '.join(await servers.sign_in(backend.name, given))}"
        state = state_of(backend)
        who = given.values.get("username") or given.values.get("access_key") or ""
        say(plain(f"You are signed in to {backend.title}{f' as {who}' if who else ''}{where}."))
        if warning := state.warning(backend.title, datetime.now(UTC)):
            say(warning)
    return Nothing()


async def logout(api: Api, asked: Namespace, say: Say) -> Result:
    """Sign out of a backend, in this process and on the Jupyter servers of this user."""
    async with _service(api) as service:
        backend = service.backend(asked.backend)
        if not backend.methods():
            raise InvalidRequest(f"Nobody signs in to '{backend.name}'.", field="backend")
        await service.sign_out(backend.name)
        left = await servers.sign_out(backend.name)
        say(plain(f"You are signed out of {backend.title}."))
        if left:
            say(
                plain(
                    f"These Jupyter servers did not answer and may still keep your credentials: {', '.join(left)}."
                )
            )
    return Nothing()


async def add(api: Api, asked: Namespace, say: Say) -> Result:
    """Add a backend."""
    options: dict[str, Any] = pairs(asked.option, "--option")
    wanted = NewBackend(name=asked.name, type=asked.kind, url=asked.url, title=asked.title, options=options)
    async with _service(api) as service:
        found = await service.add_backend(wanted)
        say(plain(f"Added the backend {asked.name}: {found}."))
        try:
            await service.backend(asked.name).list(Query(limit=1))
        except SessionError:
            say(f"`%session login {asked.name}` signs in to it.")
    return Nothing()


async def show(api: Api, asked: Namespace, say: Say) -> Result:
    """List the backends and who is signed in to them, without connecting to any."""
    async with _service(api) as service:
        found = [_described(service, backend) for backend in service.backends.values()]
    if asked.json:
        return Json(found)
    head = ["Name", "Type", "Address", "Signed in", "Expires", "From"]
    keys = ("name", "type", "address", "who", "expires", "from")
    return Table(head, [[one[key] for key in keys] for one in found])


def _described(service: SessionService, backend: Backend) -> dict[str, str]:
    """Return a backend as a row of the list."""
    state = state_of(backend)
    try:
        address = backend.where()
    except SessionError:
        address = ""
    who = f"{state.who or 'yes'}{' (saved)' if state.remembered else ''}" if state.signed_in else ""
    configured = backend.name in service.config.backends
    return {
        "name": backend.name,
        "type": backend.type,
        "address": address,
        "who": who,
        "expires": state.expires.astimezone().isoformat(" ", "minutes") if state.expires else "",
        "from": "you"
        if backend.name in service.additions.added
        else ("configuration" if configured else "here"),
    }


async def take_over(api: Api, asked: Namespace, say: Say) -> Result:
    """Take over the sessions of a manager of another version."""
    async with _service(api) as service:
        able = [one.name for one in service.backends.values() if one.can_be_taken_over()]
        backend = service.backend(asked.backend or next(iter(able), None))
        await service.take_over(backend.name)
        say(plain(f"Version {__version__} manages the sessions of {backend.title} now."))
    return Nothing()


async def remove(api: Api, asked: Namespace, say: Say) -> Result:
    """Remove backends that the user added."""
    async with _service(api) as service:
        for name in asked.backends:
            await service.remove_backend(name)
            say(f"Removed the backend {name}.")
    return Nothing()


@asynccontextmanager
async def _service(api: Api) -> AsyncIterator[SessionService]:
    """Provide the backends in this process: those of `api` if it is local, otherwise backends for this verb alone."""
    if isinstance(api, SessionService):
        yield api
        return
    made = SessionService(configuration())
    try:
        yield made
    finally:
        await made.close()


def _is_kept(api: Api, asked: Namespace) -> bool:
    """Return whether the credentials are still available when this verb is done."""
    return bool(asked.save or (asked.lasting and isinstance(api, SessionService)))


def _method(backend: Backend, asked: Namespace) -> SignInMethod:
    """Return the sign-in method that the options choose, or the backend's usual one. Errors: InvalidRequest."""
    methods = {method.name: method for method in backend.methods()}
    if not methods:
        raise InvalidRequest(f"Nobody signs in to '{backend.name}'.", field="backend")
    chosen = [name for option, name in _OPTIONS.items() if getattr(asked, option) not in (None, False)]
    if not chosen:
        return next(iter(methods.values()))
    if chosen[0] not in methods:
        hint = f"It takes: {', '.join(methods)}."
        raise InvalidRequest(f"The backend '{backend.name}' takes no {chosen[0]}.", hint=hint, field="method")
    return methods[chosen[0]]


def _values(asked: Namespace) -> dict[str, str]:
    """Return the credentials that the options hold; paths are made absolute."""
    given = {name: getattr(asked, option) for option, name in _GIVEN.items() if getattr(asked, option)}
    if "certificate" in given:
        given["certificate"] = os.path.abspath(os.path.expanduser(given["certificate"]))
    return given
