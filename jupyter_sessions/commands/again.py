"""`run --again`: repeat what has failed, a session or the failed ones of several replicas."""

from __future__ import annotations

from argparse import Namespace

from jupyter_sessions.backends.takes import EVERY
from jupyter_sessions.client import Api
from jupyter_sessions.commands import replicas
from jupyter_sessions.commands.cells import plain
from jupyter_sessions.commands.ends import end_session
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.replicas import ReplicaGroup, has_failed
from jupyter_sessions.commands.secret_options import add_secrets
from jupyter_sessions.commands.specs import spec_of_row
from jupyter_sessions.commands.targets import each
from jupyter_sessions.errors import NotRunning
from jupyter_sessions.model import REPLICA_COUNT, REPLICA_ID, SessionInfo


async def again(api: Api, asked: Namespace, face: Face) -> None:
    """Create the sessions of a name again that have failed or were cancelled. Errors: NotRunning if none has."""
    rows = await replicas.targets(api, asked.again)
    ended = [row for row in rows if has_failed(row) or row.status == "CANCELLED"]
    if len(rows) == 1 and not rows[0].live:
        ended = rows
    if not ended:
        summary = ReplicaGroup(asked.again, rows).summary()
        hint = "`%session create` creates new sessions."
        raise NotRunning(f"Nothing of '{asked.again}' has failed: {summary}.", hint=hint)
    named = {f"{row.backend}/{row.id}": row for row in ended}
    count = 0 if len(rows) == 1 else len(rows)

    async def one(key: str) -> None:
        face(f"{plain((await _create_again(api, asked, named[key], count, face)).name)} is created again.")

    await each([*named], one, face)


async def _create_again(api: Api, asked: Namespace, row: SessionInfo, count: int, face: Face) -> SessionInfo:
    """Create a session like one that has ended; `count` is how many replicas there are, 0 for no replica."""
    row = await api.get(row.backend, row.id)
    (backend,) = await api.describe(row.backend)
    spec = spec_of_row(row, EVERY if backend.takes is None else backend.takes)
    if count and REPLICA_ID not in spec.environ:
        spec.environ |= {REPLICA_ID: row.name.rpartition("-")[2], REPLICA_COUNT: str(count)}
    await add_secrets(spec, asked, spec.secrets, face)
    if row.live:
        await end_session(api, row, forced=True)
    return await api.create(spec)
