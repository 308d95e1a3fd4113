"""Sessions on a Skaha platform, such as CANFAR.

Source: servers up to science-platform 1.4.0, clients skaha 1.7.0 and canfar 1.5.2, and seed 004.
"""

from jupyter_sessions.backends.skaha.backend import Skaha

__all__ = ["Skaha"]
