"""Sessions from Python: through the Jupyter server that runs this kernel, otherwise directly on the backends."""

from __future__ import annotations

from jupyter_sessions.client.api import Api
from jupyter_sessions.client.loop_thread import Bridge
from jupyter_sessions.client.open_api import open_api

__all__ = ["Api", "Bridge", "open_api"]
