"""What a session uses, from its `live_stat`, in words and as bars."""

from __future__ import annotations

from typing import Any

from jupyter_sessions.amounts import human_size
from jupyter_sessions.commands import html
from jupyter_sessions.commands.cells import Cell
from jupyter_sessions.model import SessionInfo

_WORDS = {"cpu_util": "CPU", "mem": "Memory", "cuda_util": "GPU", "cuda_mem": "GPU memory"}


def used(row: SessionInfo) -> dict[str, Cell]:
    """Return what a session uses now, by the name of the resource; {} if its backend does not say."""
    stats = row.live_stat or {}
    found = {word: _cell(stats[name]) for name, word in _WORDS.items() if isinstance(stats.get(name), dict)}
    return {word: cell for word, cell in found.items() if cell}


def use_cell(row: SessionInfo) -> Cell:
    """Return all that a session uses in one cell."""
    found = used(row)
    bars = "".join(f"<div>{name} {cell.html}</div>" for name, cell in found.items())
    return Cell(", ".join(f"{name} {cell}" for name, cell in found.items()), html=bars)


def _cell(metric: dict[str, Any]) -> Cell:
    """Return a metric: "12 %", or "300 MiB of 512 MiB"."""
    try:
        current, share = float(metric["current"]), float(metric["pct"]) / 100
        if metric.get("unit_hint") != "bytes":
            text = f"{share:.0%}".replace("%", " %")
        elif metric.get("capacity"):
            text = f"{human_size(current)} of {human_size(float(metric['capacity']))}"
        else:
            text = human_size(current)
    except (KeyError, TypeError, ValueError):
        return Cell("")
    return Cell(text, html=html.bar(share, text))
