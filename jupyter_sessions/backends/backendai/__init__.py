"""Backend.AI, over its REST and GraphQL API."""

from __future__ import annotations

from jupyter_sessions.backends.backendai.backend import BackendAI

__all__ = ["BackendAI"]
