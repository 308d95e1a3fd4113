"""The service-port proxy, which serves a session's services under paths of the Jupyter server.

`handlers` gives the routes; the application puts an object that satisfies `ServiceProvider` into the
server's settings under `SERVICES_KEY`.
"""

from __future__ import annotations

from .contract import ROOT, SERVICES_KEY, ServiceProvider
from .routes import handlers

__all__ = ["ROOT", "SERVICES_KEY", "ServiceProvider", "handlers"]
