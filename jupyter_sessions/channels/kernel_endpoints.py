"""Where a session's kernel is: what `Backend.kernel_endpoint` returns.

Both forms hold secrets: they stay in the processes that use them, and their texts show none.
"""

from __future__ import annotations

import msgspec

from jupyter_sessions.model import KernelConnection

SESSION_PATH = "jupyter-sessions"
"""The path under which a session's Jupyter server keeps the session's kernel: it gives the same one back each time."""


class ZmqEndpoint(KernelConnection, frozen=True, kw_only=True):
    """A kernel that listens at ZeroMQ sockets: what its connection file says.

    `transport` is "tcp", with `ip` and ports, or "ipc", with sockets at "IP-PORT". The CurveZMQ keys are given
    together, or not at all. Source: "Making kernels for Jupyter"; jupyter_client 8.10, `connect.py`.
    """

    curve_publickey: str = ""
    curve_secretkey: str = ""

    def __repr__(self) -> str:
        return f"ZmqEndpoint({self.transport}://{self.ip})"


class JupyterEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel in a session's Jupyter server: the server's base URL, and headers that it wants, a token among them.

    The URL's query goes with each request, for servers that take their token there. A server at a unix `socket` gets the
    URL's path. `kernel` names the kernelspec of a kernel that has to be started
    first; the server's default unless given.
    """

    url: str = "http://localhost/"
    socket: str = ""
    headers: dict[str, str] = {}
    kernel: str = ""
    path: str = SESSION_PATH

    def __repr__(self) -> str:
        return f"JupyterEndpoint({self.socket or self.url.partition('?')[0]})"


KernelEndpoint = ZmqEndpoint | JupyterEndpoint
