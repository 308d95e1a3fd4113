"""Rows as people see them: with the addresses at which the Jupyter server offers services, and the commands they gave."""

from __future__ import annotations

from urllib.parse import quote

from jupyter_sessions.model import SessionInfo
from jupyter_sessions.wire.job_command import unwrapped


def displayed(row: SessionInfo) -> SessionInfo:
    """Return the row with its startup command as given, and its services with the URLs of the server's proxy.

    Services for which the backend gives a URL of its own keep it.
    """
    if row.startup_command:
        row.startup_command = unwrapped(row.startup_command)
    for service in row.services:
        if not service.url:
            parts = (quote(part, safe=":") for part in (row.backend, row.id, service.name))
            service.url = f"jupyter-sessions/services/{'/'.join(parts)}/{service.path}"
    return row
