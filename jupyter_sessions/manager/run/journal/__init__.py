"""What a session printed, by execution, kept on disk: it is there when nobody looked."""

from __future__ import annotations

from jupyter_sessions.manager.run.journal.entries import read
from jupyter_sessions.manager.run.journal.writer import Journal

FOLDER = "journal"
"""Where it is, in a session's folder."""

__all__ = ["FOLDER", "Journal", "read"]
