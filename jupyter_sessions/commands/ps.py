"""The verb `ps`: list sessions. Source of its options: seed 003, Backend.AI's client 23.9.10."""

from __future__ import annotations

import asyncio
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from datetime import UTC, datetime

from msgspec import structs

from jupyter_sessions.client import Api
from jupyter_sessions.commands import columns, filters, options, replicas, session_table
from jupyter_sessions.commands.face import Face
from jupyter_sessions.commands.fields import field_of
from jupyter_sessions.commands.links import base_of
from jupyter_sessions.commands.result import Json, Result, Text, plain
from jupyter_sessions.commands.verb import Verb
from jupyter_sessions.errors import BackendUnavailable
from jupyter_sessions.model import USABLE, SessionInfo
from jupyter_sessions.service import Listing

LIMIT = 10
_COUNTED = replicas.MOST
"""How many rows beyond the limit are asked for: replicas take one line, and of the others the number is told."""
JSON_FIELDS = [
    name
    for name in SessionInfo.__struct_fields__
    if name not in ("containers", "live_stat", "last_stat")  # These are slow to fetch.
]
"""The fields of `--json`."""
_USE_SECONDS = 0.5
_GROUPS = ("all", "live", "running", "dead")


def _ps_options(verb: ArgumentParser) -> None:
    which = verb.add_mutually_exclusive_group()
    which.add_argument(
        "-a",
        "--all",
        action="store_const",
        dest="status",
        const="all",
        help="live and ended sessions, however many",
    )
    which.add_argument(
        "--running", action="store_const", dest="status", const="running", help="sessions that run"
    )
    which.add_argument(
        "--dead", action="store_const", dest="status", const="dead", help="sessions that have ended"
    )
    which.add_argument(
        "-s",
        "--status",
        type=_status,
        help="sessions with one of these statuses, separated by commas, or ALL",
    )
    verb.set_defaults(status="live")
    options.backend(verb, "sessions of one backend")
    verb.add_argument(
        "--access-key", metavar="KEY", help="sessions of another user's key (for administrators)"
    )
    verb.add_argument("--filter", metavar="CONDITION", help="""sessions like these: 'name ilike "my%%"'""")
    verb.add_argument("--order", metavar="FIELDS", help="fields to sort by, with '-' for the largest first")
    verb.add_argument(
        "--limit",
        type=options.whole_number,
        metavar="N",
        help=f"the most rows (default: {LIMIT}; 0: no limit)",
    )
    verb.add_argument(
        "--offset", type=options.whole_number, default=0, metavar="N", help="rows to skip at the beginning"
    )
    how = verb.add_mutually_exclusive_group()
    how.add_argument("--format", "-f", metavar="FIELDS", help="fields to show, separated by commas")
    how.add_argument("--detail", action="store_true", help="more fields, ids in full")
    how.add_argument("--name-only", action="store_true", help="names only")
    how.add_argument("--json", action="store_true", help="as JSON, with all fields and without a limit")


def _status(text: str) -> str:
    """Return a status group or comma list of statuses; groups may be in capitals, as Backend.AI writes ALL."""
    return text.lower() if text.lower() in _GROUPS else text


async def ps(api: Api, asked: Namespace, face: Face) -> Result:
    """List sessions. Errors: BackendUnavailable if no backend answered."""
    limit = _limit(asked)
    listing = await _listing(api, asked, limit)
    await _check_answered(api, asked, listing)
    result = await _shown(api, asked, listing, limit, face)
    now = datetime.now(UTC)
    result.warnings = [
        *(f"{backend}: {why}" for backend, why in listing.errors.items()),
        *(str(notice) for notice in listing.notices.values()),
        *(said for expiry in listing.expiries.values() if (said := expiry.warning(now))),
    ]
    return result


def _limit(asked: Namespace) -> int | None:
    """Return the most rows to show, None for all."""
    if asked.limit is None:
        return None if asked.json or asked.status == "all" else LIMIT
    return asked.limit or None


async def _listing(api: Api, asked: Namespace, limit: int | None) -> Listing:
    """Return the rows that were asked for, and some more of which only the number is told."""
    most = None if limit is None else limit + _COUNTED
    order = _order(asked.order) if asked.order else None
    if asked.filter is None:
        return await api.list(
            status=asked.status,
            backend=asked.backend,
            limit=most,
            offset=asked.offset,
            order=order,
            fields=_wanted(asked),
            access_key=asked.access_key,
        )
    suits = filters.read(asked.filter)
    listing = await api.list(
        status=asked.status,
        backend=asked.backend,
        order=order,
        fields=[*_wanted(asked), *suits.fields],
        access_key=asked.access_key,
    )
    rows = [row for row in listing.sessions if suits(row)][asked.offset :][:most]
    return structs.replace(listing, sessions=rows)


def _order(text: str) -> str:
    """Return an order by the names that rows have for its fields. Errors: InvalidRequest."""
    names = [name.strip().removeprefix("+") for name in text.split(",")]
    return ",".join("-" * name.startswith("-") + field_of(name.removeprefix("-")) for name in names)


def _wanted(asked: Namespace) -> list[str]:
    """Return the fields to show; JSON has all of them except those that are slow to fetch."""
    if asked.json:
        return JSON_FIELDS
    if asked.detail:
        return [*map(field_of, columns.DETAIL)]
    return [*map(field_of, columns.checked(asked.format))] if asked.format else []


async def _check_answered(api: Api, asked: Namespace, listing: Listing) -> None:
    """Raise BackendUnavailable with all reasons if every backend failed: that is not the same as an empty list."""
    if listing.sessions or not listing.errors:
        return
    names = [asked.backend] if asked.backend else (await api.defaults()).storage
    if all(name in listing.errors for name in names):
        why = " ".join(f"{plain(name)}: {plain(reason)}" for name, reason in listing.errors.items())
        raise BackendUnavailable(f"The sessions could not be listed. {why}")


async def _shown(api: Api, asked: Namespace, listing: Listing, limit: int | None, face: Face) -> Result:
    """Return the list in the form that was asked for."""
    rows = listing.sessions[:limit]
    more = _more(len(listing.sessions) - len(rows), asked.status)
    if asked.json:
        return Json(rows)
    if asked.name_only:
        return Text("\n".join(plain(row.name) for row in rows))
    if asked.format or asked.detail:
        names = columns.checked(asked.format) if asked.format else [*columns.DETAIL]
        empty = _empty(listing, asked)
        return session_table.exact_table(rows, names, empty=empty, more=more, wraps=not asked.format)
    entries = replicas.grouped(listing.sessions)[:limit]
    groups = [one for one in entries if isinstance(one, replicas.ReplicaGroup)]
    count = len(entries) - len(groups) + sum(len(group.rows) for group in groups)
    if groups and asked.status == "live":
        await replicas.complete_groups(api, groups)
    if face.in_notebook:
        await _add_use(api, [one for one in entries if isinstance(one, SessionInfo)])
    return session_table.brief_table(
        entries,
        owners=bool(asked.access_key) or len({row.access_key for row in rows if row.access_key}) > 1,
        empty=_empty(listing, asked),
        more=_more(len(listing.sessions) - count, asked.status),
        base_url=base_of(api, face) if face.in_notebook else None,
    )


async def _add_use(api: Api, rows: list[SessionInfo]) -> None:
    """Add to the first sessions that run what they use now, which lists do not tell; nothing if that takes long."""
    running = [row for row in rows if row.status in USABLE and row.live_stat is None][:LIMIT]
    with suppress(TimeoutError):
        async with asyncio.timeout(_USE_SECONDS):
            found = await asyncio.gather(
                *(api.get(row.backend, row.id) for row in running), return_exceptions=True
            )
            for row, now in zip(running, found, strict=True):
                row.live_stat = now.live_stat if isinstance(now, SessionInfo) else None


def _more(count: int, status: str) -> str:
    """Say how many sessions are not shown, "" for none."""
    if not count:
        return ""
    how_many = f"more than {_COUNTED - 1}" if count >= _COUNTED else count
    return f"… and {how_many} more, `{'--all' if status == 'live' else '--limit 0'}` shows them."


def _empty(listing: Listing, asked: Namespace) -> str:
    """Return what is said instead of an empty list."""
    which = "" if asked.status == "live" else f" ({asked.status})"
    none = "The backends that answered have no sessions" if listing.errors else "There are no sessions"
    return f"{none}{which}. `%session create python` creates one."


VERBS = (
    Verb(
        "ps",
        "list sessions",
        f"List sessions, the most recently changed first, {LIMIT} unless told otherwise.",
        _ps_options,
        ps,
        aliases=("list", "admin session list"),
    ),
)
