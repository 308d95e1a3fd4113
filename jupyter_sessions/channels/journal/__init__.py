"""The journal of a session: the output of each execution on disk, whether or not a client was connected."""

from __future__ import annotations

from jupyter_sessions.channels.journal.entries import read
from jupyter_sessions.channels.journal.writer import Journal

FOLDER = "journal"
"""The name of the journal's folder in a session's folder."""

__all__ = ["FOLDER", "Journal", "read"]
