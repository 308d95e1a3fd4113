"""A session as a notebook shows it, in the colours of JupyterLab's theme, or those of the page where there are none."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from html import escape

from jupyter_sessions.amounts import parse_slots, slot_label
from jupyter_sessions.model import USABLE, SessionInfo, reason, status_word

_BAD = frozenset({"ERROR", "CANCELLED"})
_COLORS = {
    "good": "var(--jp-success-color1, color-mix(in srgb, #43a047 75%, currentColor))",
    "busy": "var(--jp-warn-color1, color-mix(in srgb, #f57c00 75%, currentColor))",
    "bad": "var(--jp-error-color1, color-mix(in srgb, #e53935 75%, currentColor))",
    "faint": "var(--jp-ui-font-color2, color-mix(in srgb, currentColor 65%, transparent))",
}
_BORDER = "var(--jp-border-color2, color-mix(in srgb, currentColor 25%, transparent))"
_TEXT = "var(--jp-ui-font-color1, currentColor)"
_LINK = "var(--jp-content-link-color, LinkText)"


def resources(row: SessionInfo) -> str:
    """Return the resources of a session in words: "4 CPU · 16 GiB · 1 GPU"."""
    return " · ".join(
        slot_label(name, Decimal(amount)) for name, amount in parse_slots(row.resources).items()
    )


def line(row: SessionInfo) -> str:
    """Return a session in one line: "local/demo, running: python3 · 1 CPU · 512 MiB"."""
    what = " · ".join(filter(None, (row.image, resources(row))))
    text = f"{row.ref}, {status_word(row.status)}: {what}"
    return "".join(char if char.isprintable() else "?" for char in text)


def html(row: SessionInfo, links: Iterable[tuple[str, str]]) -> str:
    """Return the card of a session, with `links` to its services by name. Everything in it is escaped."""
    facts = [row.image, resources(row), row.backend]
    lines = [f"<div>{' · '.join(escape(fact) for fact in facts if fact)}</div>"]
    if row.status_info:
        lines.append(f"<div style='color:{_COLORS['faint']}'>{escape(reason(row.status_info))}</div>")
    if row.live and row.ends_at:
        ends = row.ends_at.astimezone().strftime("%Y-%m-%d %H:%M")
        lines.append(f"<div style='color:{_COLORS['faint']}'>Ends at {ends} at the latest</div>")
    if anchors := " ".join(_anchor(name, url) for name, url in links):
        lines.append(f"<div>{anchors}</div>")
    return (
        f"<div class='jupyter-sessions-card' style='border:1px solid {_BORDER};border-radius:4px;padding:8px 12px;"
        f"display:inline-block;max-width:100%;color:{_TEXT};line-height:1.6;overflow-wrap:anywhere'>"
        f"<div><strong>{escape(row.name)}</strong> {_status(row)}</div>{''.join(lines)}</div>"
    )


def starting(row: SessionInfo, elapsed: str) -> str:
    """Return a session that starts in one line of HTML: its state, why it waits, and for how long it has."""
    facts = [f"for {elapsed}", reason(row.status_info)]
    if row.expected_at and row.live:
        facts.append(f"expected to start at {row.expected_at.astimezone():%Y-%m-%d %H:%M}")
    said = " · ".join(escape(fact) for fact in facts if fact)
    return (
        f"<div class='jupyter-sessions-card' style='color:{_TEXT}'><strong>{escape(row.name)}</strong> {_status(row)}"
        f" <span style='color:{_COLORS['faint']}'>{said}</span></div>"
    )


def _status(row: SessionInfo) -> str:
    tone = (
        "good" if row.status in USABLE else "bad" if row.status in _BAD else "busy" if row.live else "faint"
    )
    return f"<span style='color:{_COLORS[tone]}'>● {escape(status_word(row.status).capitalize())}</span>"


def _anchor(name: str, url: str) -> str:
    style = f"color:{_LINK};margin-right:12px"
    return f"<a href='{escape(url)}' target='_blank' rel='noopener' style='{style}'>{escape(name)}</a>"
