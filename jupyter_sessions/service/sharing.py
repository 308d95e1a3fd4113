"""The service of this process, if it is a Jupyter server's, for what runs beside it: kernel provisioners."""

from __future__ import annotations

import asyncio

from jupyter_sessions.service.service import SessionService

_in_use: tuple[SessionService, asyncio.AbstractEventLoop] | None = None


def use(service: SessionService) -> None:
    """Make it the service of this process; call it within the loop it runs in."""
    global _in_use
    _in_use = service, asyncio.get_running_loop()


def in_use() -> tuple[SessionService, asyncio.AbstractEventLoop] | None:
    """The service of this process and its loop, while that runs."""
    return _in_use if _in_use is not None and _in_use[1].is_running() else None
