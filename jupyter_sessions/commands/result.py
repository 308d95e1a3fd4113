"""What a command gives back, for a terminal and for a notebook."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from html import escape

import msgspec

_WHOLE = 32  # characters
_GAP = 3


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
        notes: list[str] | None = None,
        fold: bool = False,
    ) -> None:
        self.head = head
        self.rows = rows
        self._empty = empty
        self._notes = notes or []
        self._fold = fold

    def text(self, width: int = 100) -> str:
        """A table of that many columns of text at most; whole columns are left out from the right."""
        body = self._drawn(width) if self.rows else self._empty
        return "\n".join([body, *map(plain, self._notes)])

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *map(plain, self.warnings)])

    def _drawn(self, width: int) -> str:
        lines = [self.head, *([plain(cell) for cell in row] for row in self.rows)]
        return _folded(lines, width) if self._fold else _aligned(lines, width)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        notes = "".join(f"<p>{escape(note)}</p>" for note in [*self._notes, *self.warnings])
        if not self.rows:
            return {"text/plain": repr(self), "text/html": f"<p>{escape(self._empty)}</p>{notes}"}
        head = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in self.head)
        rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
        html = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"
        return {"text/plain": repr(self), "text/html": html}


def _aligned(lines: list[list[str]], width: int) -> str:
    """Columns side by side under a rule. By hand: rich takes a tenth of a second more, from import to last line."""
    from rich.cells import cell_len

    sizes = [[cell_len(cell) for cell in line] for line in lines]
    widths = [max(column) for column in zip(*sizes, strict=True)]
    shown = len(widths)
    while shown > 1 and sum(widths[:shown]) + _GAP * shown > width:
        shown -= 1
    drawn = [
        "".join(
            cell + " " * (whole + _GAP - size)
            for cell, whole, size in zip(line[:shown], widths, taken, strict=False)
        )
        for line, taken in zip(lines, sizes, strict=True)
    ]
    drawn.insert(1, "─" * (sum(widths[:shown]) + _GAP * (shown - 1)))
    return "\n".join(line.rstrip() for line in drawn)


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
