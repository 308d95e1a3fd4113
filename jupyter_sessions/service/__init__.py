"""The one place that knows all backends."""

from __future__ import annotations

from jupyter_sessions.service.changes import Batch, Change, Position, SessionPut, SessionRemoved
from jupyter_sessions.service.creation import create_replicas, replicas_of
from jupyter_sessions.service.deadlines import state_of
from jupyter_sessions.service.direct import service_at
from jupyter_sessions.service.feed import Feed
from jupyter_sessions.service.info import BackendInfo, BackendType, Defaults, NewBackend
from jupyter_sessions.service.lookup import Expiry, Listing, find
from jupyter_sessions.service.registry import configuration, find_types, own_sessions
from jupyter_sessions.service.service import SessionService
from jupyter_sessions.service.waiting import LOOK_AGAIN_SECONDS

__all__ = [
    "LOOK_AGAIN_SECONDS",
    "BackendInfo",
    "BackendType",
    "Batch",
    "Change",
    "Defaults",
    "Expiry",
    "Feed",
    "Listing",
    "NewBackend",
    "Position",
    "SessionPut",
    "SessionRemoved",
    "SessionService",
    "configuration",
    "create_replicas",
    "find",
    "find_types",
    "own_sessions",
    "replicas_of",
    "service_at",
    "state_of",
]
