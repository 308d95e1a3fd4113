"""Where browsers find the services of sessions."""

from __future__ import annotations

from urllib.parse import urlsplit

from jupyter_sessions.client import Api
from jupyter_sessions.commands.face import Face
from jupyter_sessions.model import Service


def base_of(api: Api, face: Face) -> str:
    """Return what the addresses of services begin with, "" without a Jupyter server that serves them.

    In a notebook that is a path: the page may have another host name than the server gives itself, and its own cookies.
    """
    return urlsplit(api.base_url).path if face.in_notebook else api.base_url


def address_of(service: Service, base: str) -> str:
    """Return the address of a service, "" without a Jupyter server that serves it."""
    if "://" in service.url:
        return service.url
    return f"{base}{service.url}" if base and service.url else ""
