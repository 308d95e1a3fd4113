"""The verb `rm`: end sessions."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from contextlib import suppress

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.result import Nothing, Result, plain
from jupyter_sessions.commands.targets import each
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.durations import human_time
from jupyter_sessions.errors import SessionError, SessionNotFound
from jupyter_sessions.model import SessionInfo, standing


def _rm_options(verb: ArgumentParser) -> None:
    options.sessions(verb)
    verb.add_argument("--forced", "-f", action="store_true", help="end at once, without the grace period")
    verb.add_argument("--recursive", "-r", action="store_true", help="also end sessions that depend on them")
    verb.add_argument("--stats", "-s", action="store_true", help="say how long they ran and what they used")


async def rm(api: Api, asked: Namespace, face: Face) -> Result:
    """End sessions. A session that cannot be ended does not stop the others from being ended."""

    async def end(ref: str) -> None:
        row = await api.find(ref)
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


VERBS = (
    Verb("rm", "end sessions", "End sessions.", _rm_options, rm, aliases=("terminate", "destroy", "kill")),
)
