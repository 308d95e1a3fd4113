"""What a command gives back, for a terminal and for a notebook."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from html import escape
from itertools import zip_longest

import msgspec

_WHOLE = 32  # characters
_GAP = 3
_LEAST_WRAPPED = 24
_KEPT = 2
"""How many of the first columns stay longer than others."""


class Result:
    """Something to show; `warnings` are sentences beside it, which a shell says on its stderr."""

    warnings: Sequence[str] = ()

    def text(self, width: int = 100) -> str:
        """For terminals and plain output."""
        return ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": repr(self)}

    def __repr__(self) -> str:
        return self.text(shutil.get_terminal_size((100, 24)).columns)


class Nothing(Result):
    """Nothing: all has been said on the way."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {}


class Text(Result):
    """Plain text, shown as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def text(self, width: int = 100) -> str:
        """The text."""
        return self._text


class Json(Text):
    """JSON, indented."""

    def __init__(self, value: object) -> None:
        super().__init__(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


class Table(Result):
    """Rows under a head; `empty` is said when there are none. With `fold`, long cells take several lines."""

    def __init__(
        self,
        head: list[str],
        rows: list[list[str]],
        *,
        empty: str = "",
        fold: bool = False,
        wrapped: int | None = None,
    ) -> None:
        self.head = head
        self.rows = rows
        self._empty = empty
        self._fold = fold
        self._wrapped = wrapped

    def text(self, width: int = 100) -> str:
        """A table of that many columns of text at most; whole columns are left out from the right.

        The one that is `wrapped` takes several lines instead, and is among the last to go.
        """
        return self._drawn(width) if self.rows else self._empty

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *map(plain, self.warnings)])

    def _drawn(self, width: int) -> str:
        lines = [self.head, *([plain(cell) for cell in row] for row in self.rows)]
        return _folded(lines, width) if self._fold else _aligned(lines, width, self._wrapped)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.warnings)
        if not self.rows:
            return {"text/plain": repr(self), "text/html": f"<p>{escape(self._empty)}</p>{notes}"}
        head = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in self.head)
        rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
        html = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"
        return {"text/plain": repr(self), "text/html": html}


def _aligned(lines: list[list[str]], width: int, wrapped: int | None = None) -> str:
    """Columns side by side under a rule. By hand: rich takes a tenth of a second more, from import to last line."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    if wrapped is not None:
        whole, widths[wrapped] = widths[wrapped], min(widths[wrapped], _LEAST_WRAPPED)
    shown = _fitting(widths, width, wrapped)
    if wrapped in shown:
        room = width - sum(widths[at] + _GAP for at in shown)
        widths[wrapped] = min(whole, widths[wrapped] + max(room, 0))
    drawn = [
        _joined(
            [_broken(line[at], widths[at]) if at == wrapped else [line[at]] for at in shown], shown, widths
        )
        for line in lines
    ]
    drawn.insert(1, "─" * (sum(widths[at] + _GAP for at in shown) - _GAP))
    return "\n".join(drawn)


def _fitting(widths: list[int], width: int, wrapped: int | None) -> list[int]:
    """The columns that there is room for, the first and the `wrapped` one as long as there can be."""
    shown = [*range(len(widths))]
    while len(shown) > 1 and sum(widths[at] + _GAP for at in shown) > width:
        rest = [at for at in shown[_KEPT:] if at != wrapped] or [at for at in shown[1:] if at != wrapped]
        shown.remove(rest[-1] if rest else shown[-1])
    return shown


def _joined(cells: list[list[str]], shown: list[int], widths: list[int]) -> str:
    """One row of the table, of as many lines as its highest cell."""
    from rich.cells import set_cell_size

    lines = zip_longest(*cells, fillvalue="")
    drawn = (
        "".join(set_cell_size(cell, widths[at] + _GAP) for cell, at in zip(line, shown, strict=True))
        for line in lines
    )
    return "\n".join(line.rstrip() for line in drawn)


def _broken(text: str, width: int) -> list[str]:
    """The text in lines of that many columns, broken between words where there are any."""
    from rich.cells import cell_len, chop_cells

    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if cell_len(longer) <= width:
            lines[-1] = longer
        else:
            lines += chop_cells(word, width)
    return [line for line in lines if line] or [""]


def _folded(lines: list[list[str]], width: int) -> str:
    """Columns in which long cells take several lines."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in lines[0]:
        table.add_column(name, overflow="fold")
    for line in lines[1:]:
        table.add_row(*line)
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False, force_jupyter=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _cell(text: str) -> str:
    """Names, ids and amounts stay in one piece, or a browser would break them at a hyphen."""
    whole = ";white-space:nowrap" if len(text) <= _WHOLE else ""
    return f"<td style='text-align:left{whole}'>{escape(text)}</td>"


def plain(text: str) -> str:
    """A text on one line without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)
