"""The verb `wait`: wait until sessions run or have ended."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace

from jupyter_sessions.client import Api
from jupyter_sessions.commands import options, replicas
from jupyter_sessions.commands.cells import plain
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.replicas import ReplicaGroup, has_failed
from jupyter_sessions.commands.result import Nothing, Result
from jupyter_sessions.commands.targets import each
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import LaunchFailed, SessionNotFound
from jupyter_sessions.model import SessionInfo, standing

_TIMED_OUT = 3
_BATCH = "batch"


def _wait_options(verb: ArgumentParser) -> None:
    options.sessions(verb)
    verb.add_argument(
        "--for",
        dest="state",
        choices=("running", "ended"),
        metavar="STATE",
        help="running or ended (default: batch sessions ended, others running)",
    )
    verb.add_argument(
        "--timeout", type=options.seconds, default=0, metavar="SECONDS", help="longest wait (0: no limit)"
    )


async def wait(api: Api, asked: Namespace, face: Face) -> Result:
    """Wait for sessions.

    The exit code is 3 if the time is over. Errors: LaunchFailed for a session that failed.
    """

    async def one(ref: str) -> None:
        rows = await replicas.targets(api, ref)
        until = asked.state or ("ended" if rows[0].type == _BATCH else "running")
        rows = [*await asyncio.gather(*(_settled(api, row, until) for row in rows))]
        said = standing(rows[0].name, rows[0].status, rows[0].status_info, plain(rows[0].name))
        if len(rows) > 1:
            said = f"{plain(ref)}: {ReplicaGroup(ref, rows).summary()}."
        if any(_has_failed(row, until) for row in rows):
            raise LaunchFailed(said)
        face(said)

    try:
        async with asyncio.timeout(asked.timeout or None):
            await each(asked.sessions, one, face)
    except TimeoutError:
        face.complain("The time is over.")
        return Nothing(_TIMED_OUT)
    return Nothing()


async def _settled(api: Api, row: SessionInfo, until: str) -> SessionInfo:
    """Return the row of a session once it runs, or has ended."""
    is_over = _is_settled if until == "running" else _ended
    try:
        async for now in api.wait(row.backend, row.id, is_over):
            row = now
    except SessionNotFound:
        row.status = "TERMINATED"
    return row


def _is_settled(row: SessionInfo) -> bool:
    return row.settled


def _ended(row: SessionInfo) -> bool:
    return not row.live or row.status == "ERROR" or row.hopeless


def _has_failed(row: SessionInfo, until: str) -> bool:
    """Return whether a session came to a bad end, or to its end instead of running."""
    if has_failed(row) or row.status == "CANCELLED":
        return True
    return until == "running" and not row.live and row.result != "SUCCESS"


VERBS = (
    Verb(
        "wait",
        "wait until sessions run or have ended",
        "Wait until sessions run, or, if they are batch sessions, until they have ended. The exit code is 1 if one"
        " failed and 3 if the time is over.",
        _wait_options,
        wait,
    ),
)
