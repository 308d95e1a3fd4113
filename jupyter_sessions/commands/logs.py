"""The verb `logs`: what a session printed."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Nothing, Result, Text
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import SessionNotFound
from jupyter_sessions.model import SessionInfo

_LOOK_SECONDS = 1.0
_COMPARED = 2000  # characters


def _logs_options(verb: ArgumentParser) -> None:
    options.session(verb)
    verb.add_argument("--follow", "-f", action="store_true", help="print what comes, until the session ends")
    tail = verb.add_argument("--tail", type=options.whole_number, metavar="N", help="only the last N lines")
    options.alias(verb, tail, "-n")


async def logs(api: Api, asked: Namespace, face: Face) -> Result:
    """Show the output of a session, and with `--follow` what it prints from then on."""
    row = await api.find(asked.session)
    text = await api.logs(row.backend, row.id)
    shown = text if asked.tail is None else "\n".join(text.splitlines()[-asked.tail :] if asked.tail else [])
    if not asked.follow:
        return Text(shown)
    if shown:
        face(shown.removesuffix("\n"))
    await _follow(api, row, text, face)
    return Nothing()


async def _follow(api: Api, row: SessionInfo, text: str, face: Face) -> None:
    """Print whole lines as they come, and at the session's end what is left."""
    printed = text
    while True:
        try:
            live = (await api.get(row.backend, row.id)).live
            now = await api.logs(row.backend, row.id)
        except SessionNotFound:
            return
        new = added(printed, now)
        whole = new if not live else new[: new.rfind("\n") + 1]
        if whole:
            face(whole.removesuffix("\n"))
            printed = now[: len(now) - (len(new) - len(whole))]
        if not live:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def added(before: str, now: str) -> str:
    """Return what has been added to a log, of which only the newest part is kept."""
    if now.startswith(before):
        return now[len(before) :]
    end = before[-_COMPARED:]
    if (at := now.rfind(end)) >= 0:
        return now[at + len(end) :]
    starts = (at + 1 for at, char in enumerate(before) if char == "\n")
    return next((now[len(before) - at :] for at in starts if now.startswith(before[at:])), now)


VERBS = (Verb("logs", "show its output", "Show the output of a session.", _logs_options, logs),)
