"""What a Jupyter server tells the kernels it starts about its extension."""

from __future__ import annotations

import msgspec

SCHEME = "jupyter-sessions"
VARIABLE = "JUPYTER_SESSIONS_SERVER"


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of the 0600 file that the environment variable names.

    `url` ends with the base URL's slash; `socket` is the path of a unix socket or ""; `ca_file` a
    certificate to trust or "".
    """

    url: str
    token: str
    pid: int
    socket: str = ""
    ca_file: str = ""

    def __repr__(self) -> str:
        return f"Access({self.url!r})"
