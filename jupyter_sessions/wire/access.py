"""How a Jupyter server tells the kernels that it starts where its extension is."""

from __future__ import annotations

import msgspec

from jupyter_sessions.wire.identity import Identity

SCHEME = "jupyter-sessions"
VARIABLE = "JUPYTER_SESSIONS_SERVER"
PROTOCOL = 1
"""The version of the extension's REST protocol; versions do not understand each other."""


def server_file(pid: int | str) -> str:
    """Return the name of the file that the server with this pid writes into Jupyter's runtime folder."""
    return f"jupyter_sessions-server-{pid}.json"


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the 0600 file that the environment variable names.

    `url` ends with the slash of the base URL. `socket` is the path of a unix socket or "", `ca_file` a certificate to
    trust or "". `server` is the process that wrote the file: once it has ended, anybody may listen on its port, and
    must not get the token.
    """

    url: str
    token: str
    server: Identity
    socket: str = ""
    ca_file: str = ""

    def __repr__(self) -> str:
        return f"ServerInfo({self.url!r})"
