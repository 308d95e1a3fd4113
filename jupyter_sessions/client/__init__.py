"""Sessions from Python: through the Jupyter server this runs under, else on the backends directly."""

from __future__ import annotations

from jupyter_sessions.client.api import Api
from jupyter_sessions.client.connect import connect
from jupyter_sessions.client.loop_thread import Bridge

__all__ = ["Api", "Bridge", "connect"]
