"""What a command gives back, for a terminal and for a notebook."""

from __future__ import annotations

import io
import shutil
from html import escape

import msgspec


class Result:
    """Something to show."""

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

    def _drawn(self, width: int) -> str:
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable

        widths = [max(len(row[i]) for row in [self.head, *self.rows]) + 3 for i in range(len(self.head))]
        shown = len(widths)
        while shown > 1 and sum(widths[:shown]) > width and not self._fold:
            shown -= 1
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for name in self.head[:shown]:
            table.add_column(name, no_wrap=not self._fold, overflow="fold")
        for row in self.rows:
            table.add_row(*(plain(cell) for cell in row[:shown]))
        if not self._fold:
            width = max(width, sum(widths[:shown]))
        out = io.StringIO()
        Console(file=out, width=width, markup=False, highlight=False, force_jupyter=False).print(table)
        return "\n".join(line.rstrip() for line in out.getvalue().splitlines())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        notes = "".join(f"<p>{escape(note)}</p>" for note in self._notes)
        if not self.rows:
            return {"text/plain": repr(self), "text/html": f"<p>{escape(self._empty)}</p>{notes}"}
        head = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in self.head)
        rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self.rows)
        html = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{notes}"
        return {"text/plain": repr(self), "text/html": html}


def _cell(text: str) -> str:
    return f"<td style='text-align:left'>{escape(text)}</td>"


def plain(text: str) -> str:
    """A text on one line without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in text)
