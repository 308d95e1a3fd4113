"""The processes of a session, and waiting for the end of any process."""

from __future__ import annotations

import asyncio
import os

import msgspec

from jupyter_sessions.wire.identity import Host, Identity, here, identify

__all__ = ["Host", "Identity", "Process", "here", "identify", "readable", "wait_gone"]

_POLL_S = 0.2


class Process(msgspec.Struct, frozen=True):
    """A process of a session: the child, its parent the shim, and the folder for their reports."""

    shim: Identity
    child: Identity
    folder: str


async def wait_gone(identity: Identity) -> None:
    """Wait until a process has ended, whether it is our child or not. A zombie counts as ended."""
    try:
        pidfd = os.pidfd_open(identity.pid)
    except (OSError, AttributeError):  # There are no pidfds, none are left, or the process has ended.
        while identity.alive():  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        return
    try:
        # The descriptor may belong to a later process with the same pid, so check again.
        if identity.alive():
            await readable(pidfd)
    finally:
        os.close(pidfd)


async def readable(fd: int) -> None:
    """Wait until a descriptor can be read, or is at its end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(fd, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
