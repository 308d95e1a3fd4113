"""The addresses at which front ends reach a session's kernel: port numbers in the names of ipc sockets."""

from __future__ import annotations

from jupyter_sessions.model import KernelConnection

CHANNELS = {"shell": 1, "iopub": 2, "stdin": 3, "control": 4, "hb": 5}
OWNER_CONTROL = 6
"""A second control channel, for the owner of the session: a shutdown there ends the session."""


def front_of(stem: str, key: str, *, owner: bool) -> KernelConnection:
    """Return the connection for front ends; the owner's has a control port of its own."""
    return KernelConnection(
        transport="ipc",
        ip=stem,
        key=key,
        shell_port=CHANNELS["shell"],
        iopub_port=CHANNELS["iopub"],
        stdin_port=CHANNELS["stdin"],
        control_port=OWNER_CONTROL if owner else CHANNELS["control"],
        hb_port=CHANNELS["hb"],
    )


def address(connection: KernelConnection, channel: str) -> str:
    """Return the ZeroMQ address of a channel."""
    separator = "-" if connection.transport == "ipc" else ":"
    return f"{connection.transport}://{connection.ip}{separator}{getattr(connection, f'{channel}_port')}"
