"""Parse and perform the verbs of `%session`, in notebooks and in the shell alike."""

from __future__ import annotations

from jupyter_sessions.commands.dispatch import VERBS, perform
from jupyter_sessions.commands.grammar import parse
from jupyter_sessions.commands.result import Nothing, Result, Table, Text

__all__ = ["VERBS", "Nothing", "Result", "Table", "Text", "parse", "perform"]
