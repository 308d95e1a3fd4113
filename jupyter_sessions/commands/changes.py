"""The verbs that change a live session: restart, renew, rename."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import describe, words
from jupyter_sessions.commands.result import Nothing, Result, plain
from jupyter_sessions.commands.verb import Verb


async def restart(api: Api, asked: Namespace, face: Face) -> Result:
    """Restart a session."""
    row = await api.find(asked.session)
    row = await api.restart(row.backend, row.id)
    face(describe(row, (await api.defaults()).places))
    return Nothing()


async def renew(api: Api, asked: Namespace, face: Face) -> Result:
    """Extend the time of a session."""
    row = await api.find(asked.session)
    row = await api.renew(row.backend, row.id)
    until = f" and ends at {words(row.ends_at)} at the latest" if row.ends_at else ""
    face(f"{plain(row.name)} is renewed{until}.")
    return Nothing()


async def rename(api: Api, asked: Namespace, face: Face) -> Result:
    """Rename a session."""
    row = await api.find(asked.session)
    row = await api.rename(row.backend, row.id, asked.name)
    face(describe(row, (await api.defaults()).places))
    return Nothing()


def _rename_options(verb: ArgumentParser) -> None:
    options.session(verb)
    verb.add_argument("name", help="its new name")


VERBS = (
    Verb("restart", "restart a session", "Restart a session's processes.", options.session, restart),
    Verb(
        "renew",
        "extend the time of a session",
        "Restart the idle timeout, time limit or lifetime of a session.",
        options.session,
        renew,
    ),
    Verb("rename", "rename a session", "Rename a session.", _rename_options, rename),
)
