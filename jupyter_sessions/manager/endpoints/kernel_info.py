"""Kernel info for the time before a kernel runs: its last reply, otherwise a likely one for its language.

Front ends write the language part into the notebook, so it should match what the kernel will reply.
"""

from __future__ import annotations

import platform
import sys
from typing import Any

from jupyter_sessions._version import __version__
from jupyter_sessions.wire.environment import Launch

Info = dict[str, Any]


class KernelInfos:
    """Replies to ``kernel_info_request`` by the command that starts the kernel."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Info] = {}

    def learn(self, launch: Launch, info: Info) -> None:
        """Remember the reply of a kernel."""
        self._known[tuple(launch.argv)] = info

    def of(self, launch: Launch) -> Info:
        """Return the last or likely reply of a kernel."""
        return self._known.get(tuple(launch.argv)) or _likely(launch)


def _likely(launch: Launch) -> Info:
    return {
        "status": "ok",
        "protocol_version": "5.4",
        "implementation": "jupyter_sessions",
        "implementation_version": __version__,
        "language_info": _language_info(launch),
        "banner": launch.display_name,
        "help_links": [],
    }


def _language_info(launch: Launch) -> Info:
    if launch.language != "python":
        return {"name": launch.language, "version": "", "mimetype": "text/plain", "file_extension": ".txt"}
    return {  # As ipykernel 6 and 7 reply, with a version only if this process's Python starts the kernel.
        "name": "python",
        "version": platform.python_version() if launch.argv[0] == sys.executable else "",
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
        "pygments_lexer": f"ipython{sys.version_info[0]}",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }
