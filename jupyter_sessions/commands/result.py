"""Results of verbs, as a terminal and a notebook show them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import msgspec

from jupyter_sessions.commands import html, text_table
from jupyter_sessions.commands.cells import Cell as Cell
from jupyter_sessions.commands.cells import plain as plain


class Result:
    """Something to show; `warnings` are sentences that a shell prints on its stderr, `exit_code` is the shell's."""

    warnings: Sequence[str] = ()
    exit_code = 0

    def text(self, width: int = 100, *, color: bool = False) -> str:
        """Return the result as text for terminals."""
        return ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": repr(self)}

    def __repr__(self) -> str:
        return self.text(shutil.get_terminal_size((100, 24)).columns)


class Nothing(Result):
    """No result: the verb has printed everything on the way."""

    def __init__(self, exit_code: int = 0) -> None:
        self.exit_code = exit_code

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {}


class Text(Result):
    """Plain text, shown unchanged."""

    def __init__(self, text: str) -> None:
        self._text = text

    def text(self, width: int = 100, *, color: bool = False) -> str:
        """Return the text."""
        return self._text


class Markup(Text):
    """A sentence for terminals, and HTML of our own for notebooks."""

    def __init__(self, text: str, html_text: str) -> None:
        super().__init__(text)
        self._html = html_text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._html}


class Json(Text):
    """A value as indented JSON."""

    def __init__(self, value: object) -> None:
        super().__init__(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


class Table(Result):
    """Rows under a head, or the sentence `empty` if there are no rows, and a `note` below them.

    With `fold`, long cells take several lines. The column `wrapped` takes several lines if there is not enough room;
    columns that do not fit are left out from the right, those in `kept` last, of which the first is the most important.
    """

    def __init__(
        self,
        head: list[str],
        rows: list[list[str]],
        *,
        empty: str = "",
        note: str = "",
        fold: bool = False,
        wrapped: int | None = None,
        kept: Sequence[int] = (0, 1),
    ) -> None:
        self.head = head
        self.rows = rows
        self._empty = empty
        self._note = note
        self._fold = fold
        self._wrapped = wrapped
        self._kept = kept

    def text(self, width: int = 100, *, color: bool = False) -> str:
        """Return the table with lines of at most `width` columns of text."""
        return "\n".join(filter(None, (self._drawn(width, color) if self.rows else self._empty, self._note)))

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *map(plain, self.warnings)])

    def _drawn(self, width: int, color: bool) -> str:
        if self._fold:
            return text_table.folded(self.head, self.rows, width)
        return text_table.aligned(
            self.head, self.rows, width, wrapped=self._wrapped, kept=self._kept, color=color
        )

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        notes = "".join(map(html.note, filter(None, (self._note, *self.warnings))))
        shown = self._html() if self.rows else html.note(self._empty)
        return {"text/plain": repr(self), "text/html": f"{shown}{notes}"}

    def _html(self) -> str:
        return html.table(self.head, [[html.cell(text, html.of(text)) for text in row] for row in self.rows])
