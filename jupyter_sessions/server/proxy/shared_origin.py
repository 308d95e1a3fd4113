"""Keep other people's pages from driving a person's services where all of them share one origin.

Behind a hub without a domain for each user, the pages of all users' servers have the same origin, and
browsers send a person's cookies with whatever request any of those pages makes. `Origin`,
`Sec-Fetch-Site` and `Referer` do not tell the pages apart. JupyterHub protects a server's API by an XSRF cookie
that only pages below the server's path can read. A service's pages know nothing of that cookie, so the key is part
of the path: the pages find it in their own address and send it with every request and WebSocket. Only a navigation
learns the key, because the page that starts it cannot read the answer. For browsers that do not mark navigations,
see `key_page`.

One risk remains, for the server's own pages as well: a page that opens one of them in a window can read that window.
Only a domain for each user prevents this (JupyterHub, "Security overview").
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.base.handlers import JupyterHandler

KEY = r"(?:~(?P<key>[A-Za-z0-9_-]{22})/)?"
"""The part of a service's path that holds the key, as a regular expression."""


def is_shared(base_url: str, host: str) -> bool:
    """Return whether other people's pages may have the origin of a server at `base_url` of `host`."""
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if prefix and prefix.strip("/") == base_url.strip("/"):
        return not os.environ.get("JUPYTERHUB_HOST")  # Set only with a domain for each user.
    return base_url.strip("/") != "" and not _is_loopback(host)


def _is_loopback(host: str) -> bool:
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return name.lower() == "localhost" or name.lower().endswith(".localhost")


def key_of(handler: JupyterHandler) -> str:
    """Return the key of the services of a request's sender; "" if no other person's page can request them."""
    if not is_shared(handler.base_url, handler.request.host):
        return ""
    user = getattr(handler.current_user, "username", "")
    secret = handler.settings["cookie_secret"]
    return key_for(user, handler.base_url, secret if isinstance(secret, bytes) else secret.encode())


def key_for(user: str, base_url: str, secret: bytes) -> str:
    """Return the key of a user's services on a server that signs its cookies with `secret`."""
    digest = hmac.digest(secret, f"services of {user} at {base_url}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
