"""Rows as people see them: without values of secrets, with the commands they gave and the addresses of services."""

from __future__ import annotations

from functools import cache
from urllib.parse import quote

from jupyter_sessions.model import SessionInfo
from jupyter_sessions.service.registry import own_sessions
from jupyter_sessions.wire.job_command import unwrapped
from jupyter_sessions.wire.secret_variables import without_values


@cache
def _own() -> set[str]:
    return own_sessions()


def displayed(row: SessionInfo) -> SessionInfo:
    """Return the row without values of secrets, with its startup command as given, and with URLs of the server's proxy.

    It also says whether this program runs in the session. Services for which the backend gives a URL of its own keep it.
    """
    row.here = row.id in _own()
    if row.startup_command:
        row.startup_command = unwrapped(row.startup_command)
    for service in row.services:
        if not service.url:
            parts = (quote(part, safe=":") for part in (row.backend, row.id, service.name))
            service.url = f"jupyter-sessions/services/{'/'.join(parts)}/{service.path}"
    return without_values(row)
