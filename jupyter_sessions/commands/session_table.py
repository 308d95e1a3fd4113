"""The table of `ps`: a line for each session, or for all replicas of a command."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_sessions.commands import columns, html, replicas, usage
from jupyter_sessions.commands.cells import Cell
from jupyter_sessions.commands.replicas import ReplicaGroup
from jupyter_sessions.commands.result import Table
from jupyter_sessions.model import SessionInfo


def exact_table(
    rows: Sequence[SessionInfo], names: list[str], *, empty: str, more: str, wraps: bool
) -> Table:
    """Return the fields that were asked for, as they are."""
    cells = [[columns.exact(row, name) for name in names] for row in rows]
    return _table(names, cells, empty=empty, more=more, wraps=wraps)


def brief_table(
    entries: Sequence[SessionInfo | ReplicaGroup],
    *,
    owners: bool,
    empty: str,
    more: str,
    base_url: str | None,
) -> Table:
    """Return the usual columns; unless `base_url` is None also the use and the services, as a notebook shows them."""
    firsts = [one if isinstance(one, SessionInfo) else one.rows[0] for one in entries]
    names = columns.shown(firsts, owners=owners)
    cells = [
        [columns.brief(one, name) for name in names]
        if isinstance(one, SessionInfo)
        else [_group_cell(one, name) for name in names]
        for one in entries
    ]
    table = _table(names, cells, empty=empty, more=more, wraps=True)
    if base_url is not None:
        table.head += ["Use", "Services"]
        for line, one in zip(cells, entries, strict=True):
            if isinstance(one, SessionInfo):
                line += [usage.use_cell(one), columns.services_cell(one, base_url)]
            else:
                line += ["", ""]
    return table


def _table(names: list[str], cells: list[list[str]], *, empty: str, more: str, wraps: bool) -> Table:
    return Table(
        [columns.title(name) for name in names],
        cells,
        empty=empty,
        note=more,
        wrapped=names.index("status_info") if wraps and "status_info" in names else None,
        kept=[names.index(name) for name in columns.KEPT if name in names],
    )


def _group_cell(group: ReplicaGroup, name: str) -> str:
    """Return what all replicas have in common, and of their states how many are in which."""
    if name == "name":
        lines = [[html.cell(text, html.of(text)) for text in replicas.line(row)] for row in group.rows]
        return Cell(group.name, html=html.details(group.name, html.table(replicas.LINE, lines)))
    if name == "status":
        return group.summary()
    if name == "status_changed":
        times = [row.status_changed for row in group.rows if row.status_changed]
        return columns.age(max(times, default=None))
    values = {columns.brief(row, name) for row in group.rows}
    return values.pop() if len(values) == 1 else ""
