"""The verbs about backends: list, add and remove them, take over after an upgrade.

These verbs run in this process, because kernels may not ask their Jupyter server to; the server sees the files that
they write.
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from jupyter_sessions._version import __version__
from jupyter_sessions.backends.base import Backend, Query
from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.resources import pairs
from jupyter_sessions.commands.result import Json, Nothing, Result, Table, plain
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import SessionError
from jupyter_sessions.service import NewBackend, SessionService, configuration, state_of


def _add_options(verb: ArgumentParser) -> None:
    verb.add_argument("name", help="name of the new backend")
    verb.add_argument("--kind", required=True, metavar="KIND", help="type of backend")
    verb.add_argument("--url", required=True, help="its address, or several separated by commas")
    verb.add_argument("--title", default="", metavar="TEXT", help="title that the panel shows")
    verb.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of the backend",
    )


def _takeover_options(verb: ArgumentParser) -> None:
    verb.add_argument("backend", nargs="?", help="name of the backend (default: the one that can)")


def _rm_options(verb: ArgumentParser) -> None:
    verb.add_argument("backends", nargs="+", metavar="backend", help="name of the backend")


async def add(api: Api, asked: Namespace, face: Face) -> Result:
    """Add a backend."""
    more: dict[str, Any] = pairs(asked.option, "--option")
    wanted = NewBackend(name=asked.name, type=asked.kind, url=asked.url, title=asked.title, options=more)
    async with own_service(api) as service:
        found = await service.add_backend(wanted)
        face(plain(f"Added the backend {asked.name}: {found}."))
        try:
            await service.backend(asked.name).list(Query(limit=1))
        except SessionError:
            face(f"`%session login {asked.name}` signs in to it.")
    return Nothing()


async def show(api: Api, asked: Namespace, face: Face) -> Result:
    """List the backends and who is signed in to them, without connecting to any."""
    async with own_service(api) as service:
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
        address = backend.address()
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


async def take_over(api: Api, asked: Namespace, face: Face) -> Result:
    """Take over the sessions of a manager of another version."""
    async with own_service(api) as service:
        able = [one.name for one in service.backends.values() if one.can_be_taken_over()]
        backend = service.backend(asked.backend or next(iter(able), None))
        await service.take_over(backend.name)
        face(plain(f"Version {__version__} manages the sessions of {backend.title} now."))
    return Nothing()


async def remove(api: Api, asked: Namespace, face: Face) -> Result:
    """Remove backends that the user added."""
    async with own_service(api) as service:
        for name in asked.backends:
            await service.remove_backend(name)
            face(f"Removed the backend {name}.")
    return Nothing()


@asynccontextmanager
async def own_service(api: Api) -> AsyncIterator[SessionService]:
    """Provide the backends in this process: those of `api` if it is local, or else backends for this verb alone."""
    if isinstance(api, SessionService):
        yield api
        return
    made = SessionService(configuration())
    try:
        yield made
    finally:
        await made.close()


VERBS = (
    Verb("backend list", "list backends", "List backends.", options.json, show, aliases=("backends",)),
    Verb(
        "backend add",
        "add a backend",
        "Add a backend, provided that its address answers.",
        _add_options,
        add,
    ),
    Verb(
        "backend rm",
        "remove backends",
        "Remove backends that you added. Their sessions go on running.",
        _rm_options,
        remove,
    ),
    Verb(
        "backend takeover",
        "take over after an upgrade",
        "After an upgrade, replace the session manager of the earlier version by this version's. Sessions go on"
        " running.",
        _takeover_options,
        take_over,
    ),
)
