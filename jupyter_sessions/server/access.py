"""How code in this server's kernels reaches the extension: a file with the URL and a scoped token.

The token is valid for our routes only, and only in our own Authorization scheme, so that it works alongside passwords
and JupyterHub. The path of the file, never the token, is in the environment.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from urllib.parse import quote

import msgspec
from jupyter_server.serverapp import ServerApp

from jupyter_sessions.wire.access import SCHEME, VARIABLE, ServerInfo, server_file
from jupyter_sessions.wire.files import write_private
from jupyter_sessions.wire.identity import own_identity

_EVERYWHERE = ("", "0.0.0.0", "::", "*")  # noqa: S104


class ScopedToken:
    """A token that gives access to our routes only."""

    def __init__(self) -> None:
        self._value = secrets.token_urlsafe(32)

    def matches(self, authorization: str) -> bool:
        """Return whether an Authorization header holds this token."""
        scheme, _, value = authorization.partition(" ")
        return scheme == SCHEME and hmac.compare_digest(value.encode(), self._value.encode())

    def publish(self, app: ServerApp) -> Path:
        """Write the file, and pass its path to the kernels that the server starts from now on."""
        _sweep(Path(app.runtime_dir))
        path = Path(app.runtime_dir) / server_file(os.getpid())
        write_private(path, msgspec.json.encode(self._access(app)))
        os.environ[VARIABLE] = str(path)
        return path

    def _access(self, app: ServerApp) -> ServerInfo:
        host = "127.0.0.1" if app.ip in _EVERYWHERE else app.ip
        host = f"[{host}]" if ":" in host else host
        where = "localhost" if app.sock else f"{host}:{app.port}"
        return ServerInfo(
            url=f"{'https' if app.certfile else 'http'}://{where}{quote(app.base_url, safe='/%')}",
            token=self._value,
            server=own_identity(),
            socket=app.sock or "",
            ca_file=app.certfile or "",
        )


def withdraw(path: Path) -> None:
    """Remove the file and its environment variable."""
    path.unlink(missing_ok=True)
    if os.environ.get(VARIABLE) == str(path):
        del os.environ[VARIABLE]


def _sweep(folder: Path) -> None:
    """Remove files of servers that were killed."""
    for path in folder.glob(server_file("*")):
        try:
            left = not msgspec.json.decode(path.read_bytes(), type=ServerInfo).server.alive()
        except (OSError, msgspec.DecodeError):
            continue
        if left:
            path.unlink(missing_ok=True)
