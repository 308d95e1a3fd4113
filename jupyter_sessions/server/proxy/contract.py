"""What the proxy needs from the rest of the extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jupyter_sessions.model import Endpoint

ROOT = "jupyter-sessions/services/"
"""Where services lie below the server's base URL."""

INPUTS_KEY = "jupyter_sessions_service_inputs"
"""Where in the server's settings the `Inputs` lie."""

SERVICES_KEY = "jupyter_sessions_service"
"""Where in the server's settings the `ServiceProvider` object lies, or the `SessionError` why there is none."""


class ServiceProvider(Protocol):
    """Starts the services of sessions and says where they listen."""

    async def open_service(self, backend: str, id: str, name: str, base_url: str) -> Endpoint:
        """Start the service if need be and return at once, listening or not.

        `base_url` is the path under which browsers see the service; it begins and ends with a
        slash. Raises `SessionError` when the session or service cannot be had.
        """
        ...

    async def touch(self, backend: str, id: str) -> None:
        """Somebody works with a service of the session; called at most once a minute."""
        ...

    async def service_log(self, backend: str, id: str, name: str) -> str:
        """The last lines of the service's log, as plain text."""
        ...
