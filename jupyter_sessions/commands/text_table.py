"""Tables as text for terminals of any width.

Drawn by hand: rich takes a tenth of a second more, from import to last line.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import zip_longest

from jupyter_sessions.commands.cells import Cell, plain

_GAP = 3
_LEAST_WRAPPED = 16
_CODES = {"good": "32", "busy": "33", "bad": "31", "faint": "2"}


def aligned(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int,
    *,
    wrapped: int | None = None,
    kept: Sequence[int] = (0, 1),
    color: bool = False,
) -> str:
    """Draw columns side by side under a rule; see `Table`."""
    from rich.cells import cell_len

    lines = [head, *([plain(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    if wrapped is not None:
        whole, widths[wrapped] = widths[wrapped], min(widths[wrapped], _LEAST_WRAPPED)
    shown = _fitting(widths, width, wrapped, kept)
    if wrapped in shown:
        room = width + _GAP - sum(widths[at] + _GAP for at in shown)
        widths[wrapped] = min(whole, widths[wrapped] + max(room, 0))
    drawn = []
    for line, cells in zip(lines, [head, *rows], strict=True):
        parts = [broken(line[at], widths[at]) if at == wrapped else [line[at]] for at in shown]
        tones = [_code(cells[at]) if color else "" for at in shown]
        drawn.append(_joined(parts, [widths[at] for at in shown], tones))
    drawn.insert(1, "─" * (sum(widths[at] + _GAP for at in shown) - _GAP))
    return "\n".join(drawn)


def _fitting(widths: list[int], width: int, wrapped: int | None, kept: Sequence[int]) -> list[int]:
    """Return the columns that fit into the width; the first and the `wrapped` ones are dropped last, then `kept`."""
    shown = [*range(len(widths))]

    def dropped_first(at: int) -> tuple[int, int]:
        return (kept.index(at) if at in kept else len(kept), at)

    while len(shown) > 1 and sum(widths[at] + _GAP for at in shown) - _GAP > width:
        shown.remove(max([at for at in shown[1:] if at != wrapped] or shown[-1:], key=dropped_first))
    return shown


def _code(cell: str) -> str:
    """Return the colour of a cell as an escape code, "" for the usual one."""
    return _CODES.get(cell.tone, "") if isinstance(cell, Cell) else ""


def _joined(cells: list[list[str]], widths: list[int], codes: list[str]) -> str:
    """Draw one row of the table, with as many lines as its highest cell."""
    from rich.cells import set_cell_size

    lines = []
    for line in zip_longest(*cells, fillvalue=""):
        padded = [set_cell_size(text, size + _GAP) for text, size in zip(line, widths, strict=True)]
        padded[-1] = padded[-1].rstrip()
        lines.append("".join(map(_in_color, padded, codes)).rstrip())
    return "\n".join(lines)


def colored(text: str, cell: str, color: bool) -> str:
    """Return a text in the colour of a cell if there is to be `color`."""
    return _in_color(text, _code(cell) if color else "")


def _in_color(text: str, code: str) -> str:
    """Return a text in a colour; the spaces behind it have none."""
    bare = text.rstrip()
    return f"\x1b[{code}m{bare}\x1b[0m{text[len(bare) :]}" if code and bare else text


def broken(text: str, width: int) -> list[str]:
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


def folded(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Draw columns in which long cells take several lines."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False, force_jupyter=False).print(table)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())
