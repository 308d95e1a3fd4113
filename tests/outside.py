"""The backend of an author from outside, which is a distribution of its own (`tests/resources/outside`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jupyter_sessions.config import JupyterSessions
from jupyter_sessions.service import SessionService
from jupyter_sessions.testing import end_sessions


def configuration(folder: Path, **options: Any) -> dict[str, Any]:
    """Settings with nothing but that backend."""
    backend = {"type": "outside", "folder": str(folder), **options}
    return {"backends": {"outside": backend}, "enabled_backends": ["outside"], "default_backend": "outside"}


@asynccontextmanager
async def outside_service(folder: Path, **options: Any) -> AsyncIterator[SessionService]:
    """A service with nothing but that backend; its sessions are ended afterwards."""
    service = SessionService(JupyterSessions(**configuration(folder, **options)))
    try:
        yield service
    finally:
        await end_sessions(service.backends["outside"])
        await service.close()
