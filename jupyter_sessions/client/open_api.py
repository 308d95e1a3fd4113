"""Find the backends of this process.

The environment names the Jupyter server that started this kernel. This is only a hint: if that server is gone, the
servers in the runtime folder are tried next, and then the backends run in this process, as they do without any
server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from jupyter_core.paths import jupyter_runtime_dir

from jupyter_sessions.client.api import Api
from jupyter_sessions.client.remote import RemoteService
from jupyter_sessions.service import SessionService, configuration
from jupyter_sessions.wire.access import VARIABLE, ServerInfo, server_file


async def open_api() -> Api:
    """Connect to the sessions of the Jupyter server that runs this kernel, otherwise to those of this process.

    Errors: InvalidRequest for a configuration that cannot be used.
    """
    for access in _candidates():
        remote = RemoteService(access)
        if await remote.alive():
            return remote
        await remote.close()
    return SessionService(configuration())


def _candidates() -> Iterator[ServerInfo]:
    hint = os.environ.get(VARIABLE)
    if not hint:
        return
    folder = Path(jupyter_runtime_dir())
    others = sorted(folder.glob(server_file("*")), key=_modified, reverse=True)
    for path in [Path(hint), *(other for other in others if other != Path(hint))]:
        try:
            status = path.stat()
            access = msgspec.json.decode(path.read_bytes(), type=ServerInfo)
        except (OSError, msgspec.DecodeError):
            continue
        if status.st_uid == os.getuid() and not status.st_mode & 0o077 and access.server.alive():
            yield access


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
