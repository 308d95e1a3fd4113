"""The verbs about keys, for shells only: secrets do not belong in notebooks."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Mapping

from jupyter_sessions.amounts import format_slots, parse_slots
from jupyter_sessions.backends.base import Backend
from jupyter_sessions.backends.key_administration import KeyAdministration
from jupyter_sessions.commands.result import Json, Result, Table, Text
from jupyter_sessions.commands.verbs import pairs
from jupyter_sessions.errors import NotSupported


def exports(variables: Mapping[str, str]) -> Text:
    """Return environment variables as lines for a shell to evaluate."""
    return Text("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))


async def add(backend: Backend, asked: Namespace) -> Result:
    """Create a key and return the environment variables that other clients need to use it."""
    place = _administered(backend)
    made = await place.add_key(
        {
            "role": asked.role,
            "domain": asked.domain,
            "group": asked.group,
            "email": asked.email,
            "max_sessions": asked.max_sessions,
            "max_slots": format_slots(parse_slots(pairs(asked.resource, "--resource"), unit="m")),
        }
    )
    lines = exports(await place.key_environment(made))
    return Text(f"# This secret is not shown again.\n{lines.text()}")


def _administered(backend: Backend) -> KeyAdministration:
    if isinstance(backend, KeyAdministration):
        return backend
    raise NotSupported(
        f"The backend '{backend.name}' has no keys to administer.", hint="Use a backend that has."
    )


async def show(backend: Backend, asked: Namespace) -> Result:
    """List keys, without their secrets."""
    found = await _administered(backend).keys()
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


async def remove(backend: Backend, asked: Namespace) -> Result:
    """Remove keys."""
    for key in asked.keys:
        await _administered(backend).remove_key(key)
    return Text("\n".join(f"Removed the key {key}." for key in asked.keys))
