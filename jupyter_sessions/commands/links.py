"""Where browsers find the services of sessions."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from jupyter_sessions.client import Api
from jupyter_sessions.client.services import address_below
from jupyter_sessions.commands.cells import plain
from jupyter_sessions.commands.face import Face
from jupyter_sessions.model import Service


def base_of(api: Api, face: Face) -> str:
    """Return what the addresses of services begin with, "" without a Jupyter server that serves them.

    In a notebook that is a path: the page may have another host name than the server gives itself, and its own cookies.
    """
    return urlsplit(api.base_url).path if face.in_notebook else api.base_url


def address_of(service: Service, base: str) -> str:
    """Return the address of a service, "" without a Jupyter server that serves it."""
    return plain(address_below(base, service.url))


def with_token(address: str, token: str) -> str:
    """Return an address with a Jupyter server's token in its query."""
    parts = urlsplit(address)
    query = "&".join(filter(None, (parts.query, f"token={quote(token, safe='')}")))
    return parts._replace(query=query).geturl()
