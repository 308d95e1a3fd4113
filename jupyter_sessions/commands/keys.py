"""The verbs `env` and `keys`, for shells only: secrets do not belong in notebooks."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from jupyter_sessions.amounts import format_slots, parse_slots
from jupyter_sessions.backends.key_administration import KeyAdministration
from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.backends import own_service
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.resources import pairs
from jupyter_sessions.commands.result import Json, Result, Table, Text
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import NotSupported

_BACKEND = "backend of the manager"


def _env_options(verb: ArgumentParser) -> None:
    verb.add_argument("backend", nargs="?", help="name of the backend (default: the default backend)")


def _add_options(verb: ArgumentParser) -> None:
    verb.add_argument(
        "--role",
        choices=["user", "admin", "superadmin"],
        metavar="ROLE",
        default="user",
        help="user (default), admin (of its domain) or superadmin",
    )
    verb.add_argument("--domain", default="default", help="its domain (default: default)")
    verb.add_argument("--group", default="default", help="its group (default: default)")
    verb.add_argument("--email", default="", help="address of its user")
    verb.add_argument(
        "--max-sessions", type=int, default=0, metavar="N", help="sessions at once (0: no limit)"
    )
    options.slots(verb, "resources at once, for example mem=8g")
    options.backend(verb, _BACKEND)


def _list_options(verb: ArgumentParser) -> None:
    options.json(verb)
    options.backend(verb, _BACKEND)


def _rm_options(verb: ArgumentParser) -> None:
    verb.add_argument("keys", nargs="+", metavar="key", help="access key")
    options.backend(verb, _BACKEND)


async def env(api: Api, asked: Namespace, face: Face) -> Result:
    """Return the environment variables of other clients as lines for a shell to evaluate."""
    _check_shell(asked.verb, face)
    async with own_service(api) as service:
        return _exports(await service.backend(asked.backend).client_environment())


def _exports(variables: Mapping[str, str]) -> Text:
    """Return environment variables as lines for a shell to evaluate."""
    return Text("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))


async def add(api: Api, asked: Namespace, face: Face) -> Result:
    """Create a key and return the environment variables that other clients need to use it."""
    request = {
        "role": asked.role,
        "domain": asked.domain,
        "group": asked.group,
        "email": asked.email,
        "max_sessions": asked.max_sessions,
        "max_slots": format_slots(parse_slots(pairs(asked.resource, "--resource"), unit="m")),
    }
    async with _administered(api, asked, face) as backend:
        lines = _exports(await backend.key_environment(await backend.add_key(request)))
    return Text(f"# This secret is not shown again.\n{lines.text()}")


@asynccontextmanager
async def _administered(api: Api, asked: Namespace, face: Face) -> AsyncIterator[KeyAdministration]:
    """Provide the backend whose keys are administered. Errors: NotSupported in a notebook, or without keys."""
    _check_shell(asked.verb, face)
    async with own_service(api) as service:
        backend = service.backend(asked.backend)
        if not isinstance(backend, KeyAdministration):
            raise NotSupported(
                f"The backend '{backend.name}' has no keys to administer.", hint="Use a backend that has."
            )
        yield backend


def _check_shell(verb: str, face: Face) -> None:
    if not face.in_shell:
        hint = f"There, type `jupyter session {verb}`: secrets do not belong into a notebook."
        raise NotSupported(f"'{verb}' is for a shell.", hint=hint)


async def show(api: Api, asked: Namespace, face: Face) -> Result:
    """List keys, without their secrets."""
    async with _administered(api, asked, face) as backend:
        found = await backend.keys()
    if asked.json:
        return Json(found)
    head = ["Access key", "Role", "Domain", "Group", "Limits", "Email"]
    rows = [
        [key["access_key"], key["role"], key["domain"], key["group"], _limits(key), key["email"]]
        for key in found
    ]
    return Table(head, rows)


def _limits(key: Mapping[str, object]) -> str:
    slots, most = key.get("max_slots"), key.get("max_sessions")
    parts = [f"{name}={amount}" for name, amount in slots.items()] if isinstance(slots, dict) else []
    return ", ".join([f"{most} sessions"] * bool(most) + parts)


async def remove(api: Api, asked: Namespace, face: Face) -> Result:
    """Remove keys."""
    async with _administered(api, asked, face) as backend:
        for key in asked.keys:
            await backend.remove_key(key)
    return Text("\n".join(f"Removed the key {key}." for key in asked.keys))


VERBS = (
    Verb(
        "env",
        "set up other clients (in a shell)",
        'Print the environment variables that other clients need: `eval "$(jupyter session env)"`.',
        _env_options,
        env,
    ),
    Verb(
        "keys add",
        "create a key (in a shell)",
        "Create a key for other users of this machine's manager. The secret is printed once, for a shell to evaluate.",
        _add_options,
        add,
    ),
    Verb("keys list", "list keys (in a shell)", "List keys, without their secrets.", _list_options, show),
    Verb(
        "keys rm", "remove keys (in a shell)", "Remove keys that have no live sessions.", _rm_options, remove
    ),
)
