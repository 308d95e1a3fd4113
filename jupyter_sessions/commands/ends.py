"""The verbs `rm` and `prune`: end sessions."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from contextlib import suppress

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options, replicas
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Nothing, Result, plain
from jupyter_sessions.commands.targets import each
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.durations import human_time
from jupyter_sessions.errors import InvalidRequest, SessionError, SessionNotFound
from jupyter_sessions.model import TYPE_ALIASES, SessionInfo, standing
from jupyter_sessions.service import own_sessions


def _rm_options(verb: ArgumentParser) -> None:
    options.sessions(verb)
    verb.add_argument("--forced", "-f", action="store_true", help="end at once, without the grace period")
    verb.add_argument("--recursive", "-r", action="store_true", help="also end sessions that depend on them")
    verb.add_argument("--stats", "-s", action="store_true", help="say how long they ran and what they used")


async def rm(api: Api, asked: Namespace, face: Face) -> Result:
    """End sessions. A session that cannot be ended does not stop the others from being ended."""

    async def end(ref: str) -> None:
        if len(rows := await replicas.targets(api, ref)) == 1:
            await one(rows[0])
        elif live := {f"{row.backend}/{row.id}": row for row in rows if row.live}:
            await each([*live], lambda key: one(live[key]), face)
        else:
            face(f"{plain(ref)} had already ended.")

    async def one(row: SessionInfo) -> None:
        if not row.live:
            face(f"{plain(row.name)} had already ended.")
            return
        row = await end_session(api, row, forced=asked.forced, recursive=asked.recursive)
        used = await _used(api, row) if asked.stats else ""
        face(standing(row.name, row.status, "", plain(row.name)) + used)

    await each(asked.sessions, end, face)
    return Nothing()


async def end_session(
    api: Api, row: SessionInfo, *, forced: bool = False, recursive: bool = False
) -> SessionInfo:
    """End a session, wait until it has ended, and return its row."""
    row = await api.destroy(row.backend, row.id, forced=forced, recursive=recursive)
    try:
        async for now in api.wait(row.backend, row.id, lambda row: not row.live):
            row = now
    except SessionNotFound:
        row.status = "TERMINATED"
    return row


async def _used(api: Api, row: SessionInfo) -> str:
    """Return how long a session ran and the CPU time that it used, as far as its backend says."""
    with suppress(SessionError):
        row = await api.get(row.backend, row.id)
    ran = f"It ran for {human_time(row.age / 1000)}" if row.age else ""
    cpu = f"used {human_time(row.cpu_credit_used / 1000)} of CPU time" if row.cpu_credit_used else ""
    said = " and ".join(filter(None, (ran, cpu or (ran and "used no CPU time"))))
    return f" {said}." if said else ""


def _prune_options(verb: ArgumentParser) -> None:
    verb.add_argument("prefix", nargs="?", default="", help="sessions whose names begin like this")
    verb.add_argument("--regex", metavar="PATTERN", help="sessions whose names match a regular expression")
    verb.add_argument("--type", "--kind", metavar="TYPE", help="sessions of a type, for example batch")
    verb.add_argument("--status", "-s", help="sessions with one of these statuses, separated by commas")
    options.backend(verb, "sessions of one backend")
    verb.add_argument("--dry-run", action="store_true", help="only list them")
    verb.add_argument("--forced", "-f", action="store_true", help="end at once, without the grace period")


async def prune(api: Api, asked: Namespace, face: Face) -> Result:
    """End the live sessions that are like described. The session in which this runs is left out."""
    if not (asked.prefix or asked.regex or asked.type or asked.status):
        hint = "Give a prefix of their names, `--regex`, `--type` or `--status`."
        raise InvalidRequest("Nothing says which sessions to end.", hint=hint, field="prefix")
    rows = await _matching(api, asked)
    if asked.dry_run or not rows:
        for row in rows:
            face(f"{plain(row.ref)} would end.")
        count = {0: "No session matches.", 1: "1 session matches."}
        face(count.get(len(rows), f"{len(rows)} sessions match."))
        return Nothing()

    async def end(ref: str) -> None:
        row = await end_session(api, named[ref], forced=asked.forced)
        face(standing(row.name, row.status, "", plain(row.name)))

    named = {f"{row.backend}/{row.id}": row for row in rows}
    await each([*named], end, face)
    return Nothing()


async def _matching(api: Api, asked: Namespace) -> list[SessionInfo]:
    """Return the live sessions that the options describe. Errors: InvalidRequest."""
    try:
        pattern = re.compile(asked.regex or "")
    except re.error as error:
        raise InvalidRequest(
            f"'{asked.regex}' is no regular expression: {error}.", hint="Correct it.", field="regex"
        ) from None
    kind = TYPE_ALIASES.get(asked.type, asked.type)
    here = own_sessions()
    return [
        row
        for row in (await api.list(status=asked.status or "live", backend=asked.backend)).sessions
        if row.live and row.id not in here
        if row.name.startswith(asked.prefix) and pattern.search(row.name)
        if kind in (None, row.type)
    ]


VERBS = (
    Verb("rm", "end sessions", "End sessions.", _rm_options, rm, aliases=("terminate", "destroy", "kill")),
    Verb(
        "prune",
        "end all sessions that match",
        "End all live sessions whose names begin like PREFIX or match a pattern, of a type or status.",
        _prune_options,
        prune,
    ),
)
