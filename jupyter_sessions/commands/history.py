"""The verb `events`: the events of a session so far, and new ones as they happen."""

from __future__ import annotations

from argparse import Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.client.loop_thread import Say
from jupyter_sessions.commands.fields import words
from jupyter_sessions.commands.result import Nothing, Result, plain
from jupyter_sessions.commands.verbs import settled
from jupyter_sessions.errors import SessionNotFound
from jupyter_sessions.model import Event, SessionInfo


async def events(api: Api, asked: Namespace, say: Say) -> Result:
    """Print the events of a session, and new ones until the session runs, or until its end with `--follow`."""
    row = await api.find(asked.session)
    told: list[Event] = []
    try:
        async for now in api.wait(row.backend, row.id, _ended if asked.follow else settled, every=True):
            row = now
            for event in await api.events(row.backend, row.id):
                if not any(_says(before, event) for before in told):
                    told.append(event)
                    say(_line(event))
    except SessionNotFound:
        if not told:
            raise
        say(f"{plain(row.name)} has ended.")
    return Nothing()


def _says(before: Event, event: Event) -> bool:
    """Return whether an event is known: backends drop the reason for a status once another status follows."""
    return before.when == event.when and before.what.startswith(event.what)


def _ended(row: SessionInfo) -> bool:
    return not row.live


def _line(event: Event) -> str:
    return plain("  ".join(filter(None, (words(event.when), event.what))))
