"""The verb `events`: what has happened to a session, and what does."""

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
    """Say what has happened to a session, and then what does until it runs, or to `follow` it has ended."""
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
    """Whether the event is known: backends leave out the reason for a status once there is another one."""
    return before.when == event.when and before.what.startswith(event.what)


def _ended(row: SessionInfo) -> bool:
    return not row.live


def _line(event: Event) -> str:
    return plain("  ".join(filter(None, (words(event.when), event.what))))
