"""The one place that knows all backends."""

from __future__ import annotations

from jupyter_sessions.service.feed import Batch, Feed
from jupyter_sessions.service.finding import Listing, find
from jupyter_sessions.service.registry import configuration
from jupyter_sessions.service.service import BackendInfo, Defaults, Service
from jupyter_sessions.service.sharing import in_use, use

__all__ = [
    "BackendInfo",
    "Batch",
    "Defaults",
    "Feed",
    "Listing",
    "Service",
    "configuration",
    "find",
    "in_use",
    "use",
]
