"""Results of verbs, as a terminal and a notebook show them."""

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
"""How many columns, from the left, are dropped last when there is no room."""


class Result:
    """Something to show; `warnings` are sentences that a shell prints on its stderr."""

    warnings: Sequence[str] = ()

    def text(self, width: int = 100) -> str:
        """Return the result as text for terminals."""
        return ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": repr(self)}

    def __repr__(self) -> str:
        return self.text(shutil.get_terminal_size((100, 24)).columns)


class Nothing(Result):
    """No result: the verb has printed everything on the way."""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {}


class Text(Result):
    """Plain text, shown unchanged."""

    def __init__(self, text: str) -> None:
        self._text = text

    def text(self, width: int = 100) -> str:
        """Return the text."""
        return self._text


class Json(Text):
    """A value as indented JSON."""

    def __init__(self, value: object) -> None:
        super().__init__(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


class Table(Result):
    """Rows under a head, or the sentence `empty` if there are no rows. With `fold`, long cells take several lines."""

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
        """Return the table with lines of at most `width` columns of text.

        Columns that do not fit are left out from the right. The column `wrapped` takes several lines instead, and is
        among the last to go.
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
    """Draw columns side by side under a rule.

    Drawn by hand: rich takes a tenth of a second more, from import to last line.
    """
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
    """Return the columns that fit into the width; the first and the `wrapped` column are dropped last."""
    shown = [*range(len(widths))]
    while len(shown) > 1 and sum(widths[at] + _GAP for at in shown) > width:
        rest = [at for at in shown[_KEPT:] if at != wrapped] or [at for at in shown[1:] if at != wrapped]
        shown.remove(rest[-1] if rest else shown[-1])
    return shown


def _joined(cells: list[list[str]], shown: list[int], widths: list[int]) -> str:
    """Draw one row of the table, with as many lines as its highest cell."""
    from rich.cells import set_cell_size

    lines = zip_longest(*cells, fillvalue="")
    drawn = (
        "".join(set_cell_size(cell, widths[at] + _GAP) for cell, at in zip(line, shown, strict=True))
        for line in lines
    )
    return "\n".join(line.rstrip() for line in drawn)


def _broken(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` columns, between words where possible."""
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
    """Draw columns in which long cells take several lines."""
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
    """Return a cell as HTML; short texts stay in one piece, because a browser would break them at a hyphen."""
    whole = ";white-space:nowrap" if len(text) <= _WHOLE else ""
    return f"<td style='text-align:left{whole}'>{escape(text)}</td>"


def plain(text: str) -> str:
    """Return a text on one line without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)
