"""How code in this server's kernels reaches its extension: a file with the URL and a scoped token.

The token is good for our routes only, and only in our own Authorization scheme, so that it works
beside passwords and JupyterHub. The file's path, never the token, goes into the environment.
"""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path
from urllib.parse import quote

import msgspec
from jupyter_server.serverapp import ServerApp

from jupyter_sessions.wire.access import SCHEME, VARIABLE, Access
from jupyter_sessions.wire.places import write_private


class ScopedToken:
    """A token that opens our routes and no other."""

    def __init__(self) -> None:
        self._value = secrets.token_urlsafe(32)

    def matches(self, authorization: str) -> bool:
        """Whether an Authorization header holds it."""
        scheme, _, value = authorization.partition(" ")
        return scheme == SCHEME and hmac.compare_digest(value.encode(), self._value.encode())

    def publish(self, app: ServerApp) -> Path:
        """Write the file, and name it to the kernels that the server starts from now on."""
        path = Path(app.runtime_dir) / f"jupyter_sessions-server-{os.getpid()}.json"
        write_private(path, msgspec.json.encode(self._access(app)))
        os.environ[VARIABLE] = str(path)
        return path

    def _access(self, app: ServerApp) -> Access:
        scheme = "https" if app.certfile else "http"
        host = app.ip if app.ip not in ("", "0.0.0.0", "::", "*") else "127.0.0.1"
        host = f"[{host}]" if ":" in host else host
        url = f"{scheme}://{'localhost' if app.sock else f'{host}:{app.port}'}{quote(app.base_url)}"
        return Access(url=url, token=self._value, pid=os.getpid(), socket=app.sock or "", ca_file=app.client_ca or app.certfile)


def withdraw(path: Path) -> None:
    """Remove the file."""
    path.unlink(missing_ok=True)
    if os.environ.get(VARIABLE) == str(path):
        del os.environ[VARIABLE]
