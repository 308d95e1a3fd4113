"""Answer only requests that were sent to this manager.

A page of another site whose name leads to this machine (DNS rebinding) sends that name as Host, and a request that
another user caught at the port of an earlier manager is signed for that port. Any other port is accepted, because
`ssh -L` forwards from arbitrary ports.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from jupyter_sessions.errors import Forbidden
from jupyter_sessions.wire.own_ports import is_loopback


class Hosts:
    """The accepted host names: those of this machine's loopback addresses, and configured ones."""

    def __init__(self, more: Sequence[str] = (), earlier_ports: Collection[int] = ()) -> None:
        self._more = {name.lower().rstrip(".") for name in more}
        self._earlier_ports = earlier_ports

    def check(self, host: str) -> None:
        """Check that a Host header names this manager. Errors: Forbidden."""
        name, port = _split(host)
        if not is_loopback(name) and name not in self._more:
            raise Forbidden(
                f"This manager does not answer to the name {name[:100]!r}.",
                hint="Use localhost or 127.0.0.1, or list the name in the configuration as allowed_hosts.",
            )
        if port in self._earlier_ports and is_loopback(name):
            raise Forbidden(
                f"Port {port} belonged to an earlier manager.",
                hint='Run `eval "$(jupyter session env)"` again.',
            )


def _split(host: str) -> tuple[str, int | None]:
    """Return the name in lower case, and the port or None."""
    name, colon, port = host.strip().rpartition(":")
    if not colon or port.endswith("]"):  # An IPv6 address without a port.
        name, port = host.strip(), ""
    return name.rstrip(".").lower(), int(port) if port.isascii() and port.isdecimal() else None


HOSTS = web.AppKey("hosts", Hosts)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Reject requests to another name or an earlier manager. Clients on the unix socket send localhost."""
    request.app[HOSTS].check(request.headers.get("Host", ""))
    return await handler(request)
