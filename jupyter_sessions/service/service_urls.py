"""The addresses at which the Jupyter server offers the services of sessions."""

from __future__ import annotations

from urllib.parse import quote

from jupyter_sessions.model import SessionInfo


def with_service_urls(row: SessionInfo) -> SessionInfo:
    """Return the row, its services with the URLs of the server's proxy where the backend gives none of its own."""
    for service in row.services:
        if not service.url:
            parts = (quote(part, safe=":") for part in (row.backend, row.id, service.name))
            service.url = f"jupyter-sessions/services/{'/'.join(parts)}/{service.path}"
    return row
