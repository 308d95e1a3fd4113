"""Options of a verb that a backend does something with; the others are neither offered nor explained for it."""

from __future__ import annotations

import argparse
from argparse import Namespace
from collections.abc import Collection, Sequence

from jupyter_sessions.backends.takes import EVERY
from jupyter_sessions.client import Api
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.grammar import backend_of, parser_of
from jupyter_sessions.commands.result import Result, Text

_FIELDS = {
    "project": "group",
    "env": "environ",
    "secret": "environ",
    "mount": "mounts",
    "preopen": "preopen_ports",
    "service": "services",
    "arg": "services",
    "depends": "dependencies",
    "owner": "owner_access_key",
}
"""What fields of a spec are called as options, if differently."""


async def help_for(api: Api, asked: Namespace, face: Face) -> Result:
    """Explain a verb with the options that a backend does something with."""
    verb = parser_of(asked.of, asked.prog)
    takes = await fields_taken(api, ("-b", asked.backend))
    for action in verb._actions:
        if not is_taken(action, takes):
            action.help = argparse.SUPPRESS
    return Text(verb.format_help())


async def fields_taken(api: Api, words: Sequence[str]) -> Collection[str]:
    """Return the fields that the backend takes which is named among the words of a command."""
    backend = backend_of(words)
    info = next(iter(await api.describe(backend)), None) if backend else None
    return EVERY if info is None or info.takes is None else info.takes


def is_taken(option: argparse.Action, takes: Collection[str]) -> bool:
    """Return whether an option is for all backends, or for a field that is among those taken."""
    field = _FIELDS.get(option.dest, option.dest)
    return field not in EVERY or field in takes
