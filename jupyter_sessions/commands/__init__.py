"""Parse and perform the verbs of `%session`, in notebooks and in the shell alike."""

from __future__ import annotations

from argparse import Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.client.loop_thread import Say
from jupyter_sessions.commands import catalog
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.grammar import parse
from jupyter_sessions.commands.result import Nothing, Result, Table, Text

__all__ = ["Face", "Nothing", "Result", "Table", "Text", "parse", "perform"]


async def perform(api: Api, asked: Namespace, say: Face | Say) -> Result:
    """Perform the verb that was parsed. Errors: SessionError."""
    face = say if isinstance(say, Face) else Face(say)
    if asked.verb == "help":
        from jupyter_sessions.commands.backend_options import help_for

        return await help_for(api, asked, face)
    return await catalog.verb(asked.verb).perform(api, asked, face)
