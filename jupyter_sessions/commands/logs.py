"""The verb `logs`: what a session printed."""

from __future__ import annotations

from argparse import Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Result, Text
from jupyter_sessions.commands.verb import Verb


async def logs(api: Api, asked: Namespace, face: Face) -> Result:
    """Show the output of a session."""
    row = await api.find(asked.session)
    return Text(await api.logs(row.backend, row.id))


VERBS = (Verb("logs", "show its output", "Show the output of a session.", options.session, logs),)
