"""The interface between the proxy and the rest of the extension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jupyter_sessions.model import Endpoint, SessionInfo

ROOT = "jupyter-sessions/services/"
"""The path of services below the server's base URL."""

INPUTS_KEY = "jupyter_sessions_service_inputs"
"""The key of the `Inputs` in the server's settings."""

SERVICES_KEY = "jupyter_sessions_service"
"""The key in the server's settings of the `ServiceProvider`, or of the `SessionError` that says why there is none."""


class ServiceProvider(Protocol):
    """Starts the services of sessions and knows where they listen."""

    async def open_service(self, backend: str, id: str, name: str, base_url: str) -> Endpoint:
        """Start the service if necessary, and return at once, listening or not.

        `base_url` is the path under which browsers see the service; it begins and ends with a slash. Raises
        `SessionError` if the session or service is not available.
        """
        ...

    async def get(self, backend: str, id: str) -> SessionInfo:
        """Return a session, with its services."""
        ...

    async def record_use(self, backend: str, id: str) -> None:
        """Record that somebody uses a service of the session; called at most once a minute."""
        ...

    async def service_log(self, backend: str, id: str, name: str) -> str:
        """Return the last lines of the service's log, as plain text."""
        ...
