"""Texts in tables and sentences."""

from __future__ import annotations


class Cell(str):
    """A cell of a table: its text, a `tone` that becomes a colour, and HTML for notebooks if that is more."""

    tone: str
    html: str

    def __new__(cls, text: str, *, tone: str = "", html: str = "") -> Cell:
        """Return a cell; tones are "good", "busy", "bad" and "faint"."""
        made = super().__new__(cls, text)
        made.tone, made.html = tone, html
        return made


def plain(text: str) -> str:
    """Return a text on one line without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)
