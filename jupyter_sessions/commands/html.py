"""HTML for notebooks, in JupyterLab's colours where there are such. Everything that is not our own is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import msgspec

from jupyter_sessions.commands.cells import Cell

_WHOLE = 32  # characters
_COLORS = {
    "good": "var(--jp-success-color1, #388e3c)",
    "busy": "var(--jp-warn-color1, #f57c00)",
    "bad": "var(--jp-error-color1, #d32f2f)",
    "faint": "var(--jp-ui-font-color2, #616161)",
}
_TRACK = "var(--jp-border-color2, #e0e0e0)"
_FULL = 0.9


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are HTML already, under a head of plain text."""
    top = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in head)
    top = f"<thead><tr>{top}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def cell(text: str, html: str = "") -> str:
    """Return a cell of a table; short texts stay in one piece, because a browser would break them at a hyphen."""
    whole = ";white-space:nowrap" if len(text) <= _WHOLE else ""
    return f"<td style='text-align:left{whole}'>{html or escape(text)}</td>"


def heading(text: str) -> str:
    """Return a cell that heads a group of lines."""
    return f"<th colspan='2' style='text-align:left'>{escape(text)}</th>"


def of(text: str) -> str:
    """Return a cell's text as HTML, "" if that is only its escaped text."""
    if not isinstance(text, Cell):
        return ""
    return text.html or (toned(text, text.tone) if text.tone else "")


def toned(text: str, tone: str) -> str:
    """Return a text with a dot in the colour of a tone: "good", "busy", "bad" or "faint"."""
    return f"<span style='color:{_COLORS[tone]}'>●</span> {escape(text)}"


def link(address: str, text: str) -> str:
    """Return a link that opens in a tab of its own."""
    return f"<a href='{escape(address, quote=True)}' target='_blank' rel='noopener'>{escape(text)}</a>"


def lab_button(text: str, command: str, arguments: Mapping[str, str]) -> str:
    """Return a button that calls a command of JupyterLab; other front ends show it without effect."""
    given = escape(msgspec.json.encode(arguments).decode(), quote=True)
    return (
        f"<button class='jp-mod-styled jp-mod-accept' data-commandlinker-command='{command}'"
        f" data-commandlinker-args='{given}'>{escape(text)}</button>"
    )


def details(text: str, inner: str) -> str:
    """Return a text that opens to HTML of our own."""
    return f"<details><summary>{escape(text)}</summary>{inner}</details>"


def bar(share: float, label: str) -> str:
    """Return a bar for a share of what there is, from 0 to 1."""
    tone = _COLORS["bad" if share >= _FULL else "good"]
    inner = (
        f"<span style='display:block;height:6px;width:{min(max(share, 0), 1):.0%};background:{tone}'></span>"
    )
    return (
        f"<span title='{escape(label, quote=True)}' style='display:inline-block;width:60px;height:6px;"
        f"vertical-align:middle;background:{_TRACK}'>{inner}</span> {escape(label)}"
    )


def note(text: str) -> str:
    """Return a sentence below a table."""
    return f"<p>{escape(text)}</p>"
