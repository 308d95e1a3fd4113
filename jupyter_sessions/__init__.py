"""Compute sessions inside Jupyter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_sessions._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["__version__", "load_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Makes ``%session`` and ``%%session`` known: ``%load_ext jupyter_sessions``."""
    from jupyter_sessions import magics

    magics.load_ipython_extension(shell)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-sessions"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_sessions.server.app import SessionsExtension

    return [{"module": "jupyter_sessions.server.app", "app": SessionsExtension}]
