"""What a Jupyter server tells the kernels it starts about its extension."""

from __future__ import annotations

import msgspec

from jupyter_sessions.wire.identity import Identity

SCHEME = "jupyter-sessions"
VARIABLE = "JUPYTER_SESSIONS_SERVER"
PROTOCOL = 1
"""The number of the extension's REST protocol; another one is another protocol."""


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the 0600 file that the environment variable names.

    `url` ends with the base URL's slash; `socket` is the path of a unix socket or ""; `ca_file` a
    certificate to trust or "". `server` is the process that wrote it: a port may be somebody else's
    once that has gone, and the token is not for him.
    """

    url: str
    token: str
    server: Identity
    socket: str = ""
    ca_file: str = ""

    def __repr__(self) -> str:
        return f"ServerInfo({self.url!r})"
