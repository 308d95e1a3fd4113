"""What a kernel says of itself, said before it runs: as it did last time, else as its language has it.

Front ends write the language's part into the notebook, so it had better be what the kernel will say.
"""

from __future__ import annotations

import platform
import sys
from typing import Any

from jupyter_sessions._version import __version__
from jupyter_sessions.wire.environment import Launch

Info = dict[str, Any]


class KernelInfos:
    """Answers to ``kernel_info_request``, by the command that starts the kernel."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Info] = {}

    def learn(self, launch: Launch, info: Info) -> None:
        """Keep what a kernel said."""
        self._known[tuple(launch.argv)] = info

    def of(self, launch: Launch) -> Info:
        """What such a kernel says, or may say."""
        return self._known.get(tuple(launch.argv)) or _likely(launch)


def _likely(launch: Launch) -> Info:
    return {
        "status": "ok",
        "protocol_version": "5.4",
        "implementation": "jupyter_sessions",
        "implementation_version": __version__,
        "language_info": _python(launch) if launch.language == "python" else _other(launch),
        "banner": launch.display_name,
        "help_links": [],
    }


def _python(launch: Launch) -> Info:
    """As ipykernel 6 and 7 have it; the version only if it is that of this process's Python."""
    return {
        "name": "python",
        "version": platform.python_version() if launch.argv[0] == sys.executable else "",
        "mimetype": "text/x-python",
        "codemirror_mode": {"name": "ipython", "version": sys.version_info[0]},
        "pygments_lexer": f"ipython{sys.version_info[0]}",
        "nbconvert_exporter": "python",
        "file_extension": ".py",
    }


def _other(launch: Launch) -> Info:
    return {"name": launch.language, "version": "", "mimetype": "text/plain", "file_extension": ".txt"}
