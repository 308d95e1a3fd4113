"""To whom a request was sent: only one for this manager is answered.

A page of another site whose name leads to this machine (DNS rebinding) sends that name as Host, and what
another user caught at the port of an earlier manager is signed for that port. Any other port is right:
`ssh -L` forwards one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from jupyter_sessions.errors import Forbidden
from jupyter_sessions.wire.own_ports import is_loopback


class Hosts:
    """The names that requests may be sent to: those of this machine's loopback, and more by configuration."""

    def __init__(self, more: Sequence[str] = (), earlier_ports: Collection[int] = ()) -> None:
        self._more = {name.lower().rstrip(".") for name in more}
        self._earlier_ports = earlier_ports

    def check(self, host: str) -> None:
        """Errors: Forbidden for a Host header that is not this manager's."""
        name, port = _split(host)
        if not is_loopback(name) and name not in self._more:
            raise Forbidden(
                f"This manager does not answer to the name {name[:100]!r}.",
                hint="Use localhost or 127.0.0.1, or list the name in the configuration as allowed_hosts.",
            )
        if port in self._earlier_ports and is_loopback(name):
            raise Forbidden(
                f"Port {port} was that of an earlier manager.",
                hint='Run `eval "$(jupyter session env)"` again.',
            )


def _split(host: str) -> tuple[str, int | None]:
    """The name in lower case, and the port if there is one that can be read."""
    name, colon, port = host.strip().rpartition(":")
    if not colon or port.endswith("]"):  # An IPv6 address without a port.
        name, port = host.strip(), ""
    return name.rstrip(".").lower(), int(port) if port.isascii() and port.isdecimal() else None


HOSTS = web.AppKey("hosts", Hosts)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuses what was sent to another name or an earlier manager. Those on the unix socket send localhost."""
    request.app[HOSTS].check(request.headers.get("Host", ""))
    return await handler(request)
