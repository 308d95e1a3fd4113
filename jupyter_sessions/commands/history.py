"""The verb `events`: the events of a session so far, and new ones as they happen."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import words
from jupyter_sessions.commands.result import Nothing, Result, plain
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import SessionNotFound
from jupyter_sessions.model import Event, SessionInfo


def _events_options(verb: ArgumentParser) -> None:
    options.session(verb)
    verb.add_argument("--follow", "-f", action="store_true", help="continue until the session has ended")
    verb.add_argument("--scope", help=argparse.SUPPRESS)  # Backend.AI's client: events of kernels, too.


async def events(api: Api, asked: Namespace, face: Face) -> Result:
    """Print the events of a session, and new ones until the session runs, or until its end with `--follow`."""
    row = await api.find(asked.session)
    told: list[Event] = []
    try:
        async for now in api.wait(row.backend, row.id, _ended if asked.follow else _settled, every=True):
            row = now
            for event in await api.events(row.backend, row.id):
                if not any(_repeats(before, event) for before in told):
                    told.append(event)
                    face(_line(event))
    except SessionNotFound:
        if not told:
            raise
        face(f"{plain(row.name)} has ended.")
    return Nothing()


def _repeats(before: Event, event: Event) -> bool:
    """Return whether an event is known: backends drop the reason for a status once another status follows."""
    return before.when == event.when and before.what.startswith(event.what)


def _ended(row: SessionInfo) -> bool:
    return not row.live


def _settled(row: SessionInfo) -> bool:
    return row.settled


def _line(event: Event) -> str:
    return plain("  ".join(filter(None, (words(event.when), event.what))))


VERBS = (
    Verb(
        "events",
        "show its events",
        "Show the events of a session so far, then new ones until the session runs or has ended.",
        _events_options,
        events,
    ),
)
