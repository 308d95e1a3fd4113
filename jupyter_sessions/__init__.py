"""Compute sessions inside Jupyter.

From Python, `connect` gives the sessions on all backends as objects, and `Session` is the client of seed 004 on every
backend.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_sessions._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_sessions.client.compute_session import AsyncComputeSession, ComputeSession
    from jupyter_sessions.client.session_client import AsyncSession, Session
    from jupyter_sessions.client.sessions import AsyncSessions, Sessions, connect
    from jupyter_sessions.errors import CellFailed, SessionError

__all__ = [
    "AsyncComputeSession",
    "AsyncSession",
    "AsyncSessions",
    "CellFailed",
    "ComputeSession",
    "Session",
    "SessionError",
    "Sessions",
    "__version__",
    "connect",
    "load_ipython_extension",
]

_MODULES = {
    "AsyncComputeSession": "client.compute_session",
    "AsyncSession": "client.session_client",
    "AsyncSessions": "client.sessions",
    "CellFailed": "errors",
    "ComputeSession": "client.compute_session",
    "Session": "client.session_client",
    "SessionError": "errors",
    "Sessions": "client.sessions",
    "connect": "client.sessions",
}
"""Where names are that are imported on first use (PEP 562), so that `import jupyter_sessions` stays fast."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Makes ``%session`` and ``%%session`` known: ``%load_ext jupyter_sessions``."""
    from jupyter_sessions import magics

    magics.load_ipython_extension(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-sessions"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_sessions.server.app import SessionsExtension

    return [{"module": "jupyter_sessions.server.app", "app": SessionsExtension}]
