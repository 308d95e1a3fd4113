"""The verb `info`: everything known about a session, in groups."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from jupyter_sessions.client import Api
from jupyter_sessions.commands import columns, html, options, replicas, usage
from jupyter_sessions.commands.cells import Cell
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import show, words
from jupyter_sessions.commands.grouped import Grouped
from jupyter_sessions.commands.links import address_of, base_of
from jupyter_sessions.commands.result import Json, Result, Table
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.durations import human_time
from jupyter_sessions.errors import SessionError
from jupyter_sessions.model import USABLE, Service, SessionInfo, reason

_GROUPS = {
    "What": (
        "name image type status status_info result exit_code startup_command tag dependencies owned restarts"
        " num_queries"
    ),
    "Where": (
        "backend id group_name domain_name resource_group agents architecture cluster_mode cluster_size user_email"
        " access_key survives"
    ),
    "Limits and use": "resources resource_opts limits age cpu_credit_used",
    "Times": (
        "created_at starts_at expected_at scheduled_at started_at status_changed terminated_at ends_at ends_why"
    ),
    "Files": "cwd mounts",
}
_ELSEWHERE = (
    "services containers live_stat last_stat status_history status_data occupied_slots main_kernel_id reused here"
    " hopeless"
).split()
"""Fields that other lines tell, or `--json` alone."""
_TITLES = {
    "id": "Session ID",
    "group_name": "Project",
    "domain_name": "Domain",
    "status_info": "Reason",
    "cwd": "Working folder",
    "age": "Running for",
    "cpu_credit_used": "CPU time",
    "limits": "Enforced by",
    "num_queries": "Requests",
    "created_at": "Created",
    "starts_at": "Starts",
    "expected_at": "Expected to start",
    "scheduled_at": "Scheduled",
    "started_at": "Started",
    "status_changed": "Changed",
    "terminated_at": "Ended",
    "ends_at": "Ends",
    "user_id": "User ID",
    "ends_why": "Ends by",
    "group_id": "Project ID",
}
_MILLISECONDS = ("age", "cpu_credit_used")
_USUAL = {
    "cluster_size": 1,
    "cluster_mode": "single-node",
    "restarts": 0,
    "owned": False,
    "result": "UNDEFINED",
}


def _info_options(verb: ArgumentParser) -> None:
    options.session(verb)
    options.json(verb)


async def info(api: Api, asked: Namespace, face: Face) -> Result:
    """Show one session, or the replicas of a group."""
    rows = await replicas.targets(api, asked.session)
    if len(rows) > 1:
        return await _members(api, asked, rows)
    row = await api.get(rows[0].backend, rows[0].id)
    if asked.json:
        return Json(row)
    files = (await api.defaults()).storage[row.backend].about
    return card(row, base_of(api, face), files)


async def _members(api: Api, asked: Namespace, rows: list[SessionInfo]) -> Result:
    """Return the state, exit code, duration and last line of each replica."""
    if asked.json:
        return Json([await api.get(row.backend, row.id) for row in rows])
    lines = await asyncio.gather(*(_last_line(api, row) for row in rows))
    cells = [[*replicas.line(row), last] for row, last in zip(rows, lines, strict=True)]
    summary = replicas.ReplicaGroup(asked.session, rows).summary()
    return Table(
        [*replicas.LINE, "Last line"], cells, wrapped=len(replicas.LINE), note=f"{asked.session}: {summary}"
    )


async def _last_line(api: Api, row: SessionInfo) -> str:
    """Return the last line that a session printed, or why it failed."""
    try:
        text = (await api.logs(row.backend, row.id)).rstrip()
    except SessionError:
        text = ""
    return text.rpartition("\n")[2] or reason(row.status_info)


def card(row: SessionInfo, base_url: str, files: str) -> Grouped:
    """Return everything known about a session; `files` says what becomes of its files."""
    groups = {head: _lines(row, names.split()) for head, names in _GROUPS.items()}
    groups["Limits and use"] += [*usage.used(row).items()]
    if files:
        groups["Files"].append(("At the end", Cell(files)))
    groups["Services"] = [(service.name, _address(row, service, base_url)) for service in row.services]
    if len(row.containers) > 1:
        groups["Members"] = [(one.hostname, Cell(one.status.capitalize())) for one in row.containers]
    told = {*" ".join(_GROUPS.values()).split(), *_ELSEWHERE}
    groups["Other"] = _lines(row, [name for name in row.__struct_fields__ if name not in told])
    return Grouped({head: lines for head, lines in groups.items() if lines})


def _lines(row: SessionInfo, names: list[str]) -> list[tuple[str, Cell]]:
    """Return those of the fields that say something."""
    lines = []
    for name in names:
        value = getattr(row, name)
        if value not in (None, "", [], {}) and value != _USUAL.get(name):
            lines.append((_TITLES.get(name) or columns.title(name).capitalize(), _value(row, name)))
    return lines


def _value(row: SessionInfo, name: str) -> Cell:
    value = getattr(row, name)
    if name == "status":
        return columns.status_cell(row)
    if name in _MILLISECONDS:
        return Cell(human_time(value / 1000))
    if isinstance(value, datetime):
        return Cell(_moment(value))
    return Cell(show(row, name))


def _moment(when: datetime) -> str:
    """Return a time and how far it is from now: "2026-11-30 10:00:00+00:00 (3 min ago)"."""
    seconds = (when - datetime.now(UTC)).total_seconds()
    away = human_time(abs(seconds), units=1)
    return f"{words(when)} ({f'in {away}' if seconds > 0 else f'{away} ago'})"


def _address(row: SessionInfo, service: Service, base_url: str) -> Cell:
    """Return where a service is, as a link where it can be opened."""
    address = address_of(service, base_url)
    if not address or row.status not in USABLE:
        return Cell(
            f"`%session open {row.name}` opens it." if row.status in USABLE else "when the session runs"
        )
    return Cell(address, html=html.link(address, address))


VERBS = (Verb("info", "show one session", "Show everything known about a session.", _info_options, info),)
