"""Lines of names and values under headings, as a terminal and a notebook show them."""

from __future__ import annotations

from jupyter_sessions.commands import html
from jupyter_sessions.commands.cells import Cell, plain
from jupyter_sessions.commands.result import Result
from jupyter_sessions.commands.text_table import broken, colored

_INDENT, _GAP = "  ", 2


class Grouped(Result):
    """Groups of names and values."""

    def __init__(self, groups: dict[str, list[tuple[str, Cell]]]) -> None:
        self.groups = groups

    def text(self, width: int = 100, *, color: bool = False) -> str:
        """Return the groups, each value broken into lines beside its name."""
        names = [name for lines in self.groups.values() for name, _ in lines]
        beside = max(map(len, names), default=0) + _GAP + len(_INDENT)
        shown: list[str] = []
        for head, lines in self.groups.items():
            shown += [*[""] * bool(shown), head]
            for name, value in lines:
                first, *rest = broken(plain(value), max(width - beside, 1))
                shown.append(f"{_INDENT}{plain(name):<{beside - len(_INDENT)}}{colored(first, value, color)}")
                shown += [" " * beside + line for line in rest]
        return "\n".join(shown)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        rows = []
        for head, lines in self.groups.items():
            rows.append([html.heading(head)])
            rows += [[html.cell(name), html.cell(value, html.of(value))] for name, value in lines]
        return {"text/plain": repr(self), "text/html": html.table((), rows)}
