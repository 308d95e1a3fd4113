"""Remove kernelspecs that were made to open a notebook on a session after the session has ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from jupyter_sessions.client import Api
from jupyter_sessions.errors import NotFound, SessionError, SessionNotFound
from jupyter_sessions.kernels import specs
from jupyter_sessions.kernels.definition import name_for
from jupyter_sessions.service import Batch, SessionPut
from jupyter_sessions.wire.identity import here


def forget_ended(batch: Batch) -> bool:
    """Remove the kernelspecs of sessions in a batch that have ended, except those that a person made.

    Return whether there were any.
    """
    rows = [change.session for change in batch.changes if isinstance(change, SessionPut)]
    forgotten = [_forget(name_for(row.backend, row.id)) for row in rows if not row.live]
    return any(forgotten)


async def sweep(api: Api) -> None:
    """Remove the kernelspecs of sessions that ended while no server was running.

    They are kept if the backend fails, or if they belong to another host that shares this home folder.
    """
    for kernel in await asyncio.to_thread(specs.listed):
        is_ours = kernel.ends_with_session and kernel.host in ("", here().hostname)
        if is_ours and not await _lives(api, *kernel.session.split("/", 1)):
            _forget(kernel.name)


async def _lives(api: Api, backend: str, id: str) -> bool:
    try:
        return (await api.get(backend, id)).live
    except SessionNotFound:
        return False
    except SessionError:
        return True


def _forget(name: str) -> bool:
    kernel = specs.get(name)
    if kernel is None or not kernel.ends_with_session:
        return False
    with suppress(NotFound, OSError):
        specs.remove(name)
    return True
