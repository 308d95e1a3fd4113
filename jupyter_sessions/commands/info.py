"""The verb `info`: everything known about a session."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import show
from jupyter_sessions.commands.result import Json, Result, Table
from jupyter_sessions.commands.verb import Verb


def _info_options(verb: ArgumentParser) -> None:
    options.session(verb)
    options.json(verb)


async def info(api: Api, asked: Namespace, face: Face) -> Result:
    """Show one session."""
    found = await api.find(asked.session)
    row = await api.get(found.backend, found.id)
    if asked.json:
        return Json(row)
    shown = [field for field in row.__struct_fields__ if getattr(row, field) not in (None, "", [], {})]
    return Table(["Field", "Value"], [[field, show(row, field)] for field in shown], fold=True)


VERBS = (Verb("info", "show one session", "Show everything known about a session.", _info_options, info),)
