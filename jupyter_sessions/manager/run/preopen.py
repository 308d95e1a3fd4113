"""Ports opened beforehand: those on which a session's own programs are going to listen."""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_sessions.errors import InvalidRequest
from jupyter_sessions.manager.core.record import Record
from jupyter_sessions.manager.runtime import ports


def check(wanted: Iterable[int], live: Iterable[Record], earlier: Record | None = None) -> None:
    """Check ports, which all sessions of this machine share; those of the `earlier` one will be free in time.

    Errors: InvalidRequest naming who has one already.
    """
    holders = {port: record.name for record in live if record is not earlier for port in record.preopen_ports}
    leaving = earlier.preopen_ports if earlier else []
    for port in wanted:
        if port in leaving and port not in holders:
            continue
        if port in holders or ports.taken(port):
            holder = f"the session '{holders[port]}'" if port in holders else "another program"
            raise InvalidRequest(
                f"preopen_ports: {port} is held by {holder} on this machine.",
                hint="Use another port.",
                field="preopen_ports",
            )
