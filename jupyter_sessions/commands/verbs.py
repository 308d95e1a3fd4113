"""The verbs about sessions, one function each."""

from __future__ import annotations

import asyncio
import os
from argparse import Namespace
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from jupyter_sessions.amounts import (
    GPU_SLOT,
    format_number,
    format_slots,
    parse_count,
    parse_slots,
)
from jupyter_sessions.backends.base import Storage
from jupyter_sessions.client import Api
from jupyter_sessions.client.loop_thread import Say
from jupyter_sessions.commands.fields import describe, field_of, show, words
from jupyter_sessions.commands.program import program_of
from jupyter_sessions.commands.result import Json, Nothing, Result, Table, Text, plain
from jupyter_sessions.durations import parse_duration
from jupyter_sessions.errors import (
    BackendUnavailable,
    InvalidRequest,
    LaunchFailed,
    SessionError,
    SessionNotFound,
)
from jupyter_sessions.model import USABLE, SessionInfo, SessionSpec, standing, status_word
from jupyter_sessions.service import Listing, create_replicas

COLUMNS = ("name", "status", "image", "resources", "status_info", "id")
_TITLES = {"id": "Session ID", "status_info": "Status info", "created_at": "Created"}
_COSTLY = ("containers", "live_stat", "last_stat")
_GPU_ENDINGS = (".device", ".shares")


async def create(api: Api, asked: Namespace, say: Say) -> Result:
    """Create one session or several replicas, and wait until they run, saying why they wait."""
    defaults = await api.defaults()
    preset = defaults.presets.get(asked.preset, {}) if asked.preset else {}
    spec = SessionSpec(
        backend=asked.backend,
        name=preset.get("name") if asked.name is None else asked.name,
        image=_image(asked),
        preset=asked.preset,
        resources=await resources_of(api, asked, asked.backend or preset.get("backend")),
        environ=pairs(asked.env, "--env"),
        cwd=None if preset.get("cwd") and not asked.cwd else _folder(asked.cwd),
        reuse_if_exists=not asked.no_reuse,
        tag=asked.tag,
        group=asked.project,
        resource_group=asked.resource_group,
        idle_timeout=_span(asked.idle_timeout, "idle-timeout"),
        time_limit=_span(asked.time_limit, "time-limit"),
        callback_url=asked.callback_url,
        replicas=asked.replicas or preset.get("replicas", 1),
        **program_of(asked),
    )
    rows, failures = await create_replicas(api, spec) if spec.replicas > 1 else ([await api.create(spec)], [])
    if not rows:
        raise failures[0]
    new = next((row for row in rows if not row.reused), None)
    if new and (warning := _lost_files(spec, preset, defaults.storage.get(new.backend))):
        say(warning)
    if spec.replicas > 1:
        await _follow_all(api, rows, failures, asked, say)
    else:
        await _follow(api, rows[0], asked, say)
    return Nothing()


async def _follow_all(
    api: Api, rows: list[SessionInfo], failures: list[SessionError], asked: Namespace, say: Say
) -> None:
    """Follow several sessions at once, and report failures as soon as they are known.

    Errors: LaunchFailed if any session failed.
    """

    async def one(row: SessionInfo) -> bool:
        try:
            await _follow(api, row, asked, say)
        except SessionError as error:
            say(plain(str(error)))
            return False
        return True

    for failure in failures:
        say(plain(str(failure)))
    failed = len(failures) + (await asyncio.gather(*map(one, rows))).count(False)
    if failed:
        there = len(rows) + len(failures)
        raise LaunchFailed(f"{failed} of {there} sessions failed.", hint="The reasons are above.")


async def _follow(api: Api, row: SessionInfo, asked: Namespace, say: Say) -> None:
    """Report the state of a new session, and wait until the session runs if that is wanted."""
    waits = not asked.enqueue_only and row.status not in USABLE
    if row.reused or not waits:
        places = (await api.defaults()).places
        say(describe(row, places) + (" (reused)" if row.reused else ""))
    if waits:
        await _wait_running(api, row, asked.max_wait, say)


def _lost_files(spec: SessionSpec, preset: dict[str, Any], storage: Storage | None) -> str:
    """Return a warning if all files of the session will be deleted at its end."""
    if storage is None or not storage.needs_mount or spec.mounts or preset.get("mounts"):
        return ""
    return "No folder is mounted: this session's files are deleted when it ends. `--mount NAME` keeps a folder's files."


def _image(asked: Namespace) -> str | None:
    if asked.image and asked.image_option and asked.image != asked.image_option:
        raise _twice("image", "image")
    image: str | None = asked.image or asked.image_option
    return image


def _span(given: str | None, option: str) -> float | None:
    return None if given is None else parse_duration(given, field=option)


def _folder(given: str | None) -> str:
    return os.path.abspath(os.path.expanduser(given or os.getcwd()))


async def _wait_running(api: Api, row: SessionInfo, seconds: float, say: Say) -> None:
    told, places = "", (await api.defaults()).places
    try:
        async with asyncio.timeout(seconds or None):
            async for now in api.wait(row.backend, row.id, settled):
                row, line = now, describe(now, places)
                if row.status_info and line != told and not settled(row):
                    say(line)
                    told = line
    except (TimeoutError, asyncio.CancelledError) as stop:
        say(_still_beginning(row))
        if isinstance(stop, asyncio.CancelledError):
            raise
        return
    except SessionError:  # The session exists, even if its state cannot be read.
        if not told:
            say(describe(row, places))
        raise
    if row.status not in USABLE and row.result != "SUCCESS":
        raise LaunchFailed(
            standing(row.name, row.status, row.status_info),
            hint=await _after_failure(api, row),
        )
    say(describe(row, places))


def _still_beginning(row: SessionInfo) -> str:
    """Say that a session goes on to start although nobody waits for it any longer."""
    name = plain(row.name)
    if (word := status_word(row.status)) == "waiting":
        return f"{name} stays in the queue. `%session rm {name}` cancels it."
    return f"{name} is still {word}. `%session rm {name}` ends it."


async def _after_failure(api: Api, row: SessionInfo) -> str:
    """Return a hint about a session that failed, by what its backend still keeps of the session."""
    if row.hopeless:
        return f"As things are it never starts: `%session rm {row.name}` cancels it."
    if row.live:
        return f"`%session logs {row.name}` shows its output, `%session rm {row.name}` removes it."
    with suppress(SessionError):
        if await api.logs(row.backend, row.id):
            return f"`%session logs {row.name}` shows its output."
    with suppress(SessionError):
        await api.get(row.backend, row.id)
        return f"`%session info {row.name}` shows its details."
    return "Create it again once the cause is fixed."


def settled(row: SessionInfo) -> bool:
    """Return whether a new session has come to run, has failed or ended, or can never start."""
    return row.status in USABLE or row.status == "ERROR" or not row.live or row.hopeless


async def resources_of(api: Api, asked: Namespace, backend: str | None = None) -> dict[str, Any]:
    """Return the resources that the options ask for, by slot.

    GPUs are counted as `backend` does unless the options name another backend. Errors: InvalidRequest.
    """
    given = parse_slots(pairs(asked.resource, "--resource"), unit="m")
    options = [("cpu", "cpu", asked.cpu), ("mem", "mem", asked.mem), ("ram", "mem", asked.ram)]
    if asked.gpu not in (None, "0"):
        options.append(("gpu", *await _gpus(api, asked.backend or backend, _check_gpu(asked.gpu))))
    for option, slot, amount in options:
        if amount is not None and slot in given:
            raise _twice(option, slot)
        given |= parse_slots({slot: amount}, unit="g" if option == "ram" else "m")
    return dict(format_slots(given))


def _twice(option: str, what: str) -> InvalidRequest:
    hint = "Leave one of the two out."
    return InvalidRequest(f"'{what}' is given twice.", hint=hint, field=option)


def _check_gpu(given: str) -> Decimal:
    try:
        return parse_count(given, field="gpu")
    except InvalidRequest as error:
        hint = "Give a number above 0, for example `--gpu 1`."
        raise InvalidRequest(error.message, hint=hint, field="gpu") from None


async def _gpus(api: Api, backend: str | None, count: Decimal) -> tuple[str, str]:
    """Return the slot in which a backend counts GPUs, and the amount of it that this many whole GPUs take."""
    (info,) = await api.describe(backend or (await api.defaults()).backend)
    slots = [name for name in info.capacity if name.endswith(_GPU_ENDINGS)]
    if GPU_SLOT in slots or not slots:
        return GPU_SLOT, format_number(count)
    if len(slots) > 1:
        raise InvalidRequest(
            "There are several kinds of GPU.", hint=f"Use -r with one of {', '.join(slots)}.", field="gpu"
        )
    return slots[0], format_number(count * Decimal(info.capacity[slots[0]].device or 1))


def pairs(texts: list[str], option: str) -> dict[str, str]:
    """Return NAME=VALUE texts as a dict. Errors: InvalidRequest for any other text."""
    found = dict[str, str]()
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            hint = "Give a name, '=' and a value."
            raise InvalidRequest(
                f"'{text}' after {option} is no NAME=VALUE.", hint=hint, field=option.strip("-")
            )
        found[key] = value
    return found


async def ps(api: Api, asked: Namespace, say: Say) -> Result:
    """List sessions. Errors: BackendUnavailable if no backend answered."""
    listing = await api.list(status=asked.status, backend=asked.backend, fields=_wanted(asked))
    await _check_answered(api, asked, listing)
    result = _listed(listing, asked)
    now = datetime.now(UTC)
    result.warnings = [
        *(f"{backend}: {why}" for backend, why in listing.errors.items()),
        *(str(notice) for notice in listing.notices.values()),
        *(said for expiry in listing.expiries.values() if (said := expiry.warning(now))),
    ]
    return result


def _wanted(asked: Namespace) -> list[str]:
    """Return the fields to show; JSON has all of them except those that are slow to fetch."""
    if asked.json:
        return [name for name in SessionInfo.__struct_fields__ if name not in _COSTLY]
    return [field_of(field) for field in asked.format.split(",")] if asked.format else []


async def _check_answered(api: Api, asked: Namespace, listing: Listing) -> None:
    """Raise BackendUnavailable with all reasons if every backend failed: that is not the same as an empty list."""
    if listing.sessions or not listing.errors:
        return
    names = [asked.backend] if asked.backend else (await api.defaults()).storage
    if all(name in listing.errors for name in names):
        why = " ".join(f"{plain(name)}: {plain(reason)}" for name, reason in listing.errors.items())
        raise BackendUnavailable(f"The sessions could not be listed. {why}")


def _listed(listing: Listing, asked: Namespace) -> Result:
    if asked.json:
        return Json(listing.sessions)
    chosen = "name" if asked.name_only else asked.format or ",".join(COLUMNS)
    fields = [field_of(field) for field in chosen.split(",")]
    rows = [[_cell(row, field, asked) for field in fields] for row in listing.sessions]
    if asked.name_only:
        return Text("\n".join(row[0] for row in rows))
    backends = {row.backend for row in listing.sessions}
    if len(backends) > 1 and not asked.format:
        fields.insert(1, "backend")
        for cells, row in zip(rows, listing.sessions, strict=True):
            cells.insert(1, row.backend)
    head = [_TITLES.get(field, field.replace("_", " ").capitalize()) for field in fields]
    which = "" if asked.status == "live" else f" ({asked.status})"
    none = "The backends that answered have no sessions" if listing.errors else "There are no sessions"
    return Table(
        head,
        rows,
        empty=f"{none}{which}. `%session create python` creates one.",
        wrapped=None if asked.format else fields.index("status_info"),
    )


def _cell(row: SessionInfo, field: str, asked: Namespace) -> str:
    """Return a cell of the table: people read the status as a word, `--format` keeps the backend's name for it."""
    if field == "status" and not asked.format:
        return status_word(row.status).capitalize()
    return show(row, field)


async def info(api: Api, asked: Namespace, say: Say) -> Result:
    """Show one session."""
    found = await api.find(asked.session)
    row = await api.get(found.backend, found.id)
    if asked.json:
        return Json(row)
    shown = [field for field in row.__struct_fields__ if getattr(row, field) not in (None, "", [], {})]
    return Table(["Field", "Value"], [[field, show(row, field)] for field in shown], fold=True)


async def rm(api: Api, asked: Namespace, say: Say) -> Result:
    """End sessions. A session that cannot be ended does not stop the others from being ended."""
    failures: list[SessionError] = []
    for ref in asked.sessions:
        try:
            say(await _end(api, ref, asked.forced, asked.recursive))
        except SessionError as error:
            failures.append(error)
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise InvalidRequest(" ".join(str(failure) for failure in failures))
    return Nothing()


async def _end(api: Api, ref: str, forced: bool, recursive: bool) -> str:
    row = await api.find(ref)
    if not row.live:
        return f"{plain(row.name)} had already ended."
    row = await api.destroy(row.backend, row.id, forced=forced, recursive=recursive)
    try:
        async for now in api.wait(row.backend, row.id, lambda row: not row.live):
            row = now
    except SessionNotFound:
        return f"{plain(row.name)} has ended."
    return standing(row.name, row.status, "", plain(row.name))


async def restart(api: Api, asked: Namespace, say: Say) -> Result:
    """Restart a session."""
    row = await api.find(asked.session)
    row = await api.restart(row.backend, row.id)
    say(describe(row, (await api.defaults()).places))
    return Nothing()


async def renew(api: Api, asked: Namespace, say: Say) -> Result:
    """Extend the time of a session."""
    row = await api.find(asked.session)
    row = await api.renew(row.backend, row.id)
    until = f" and ends at {words(row.ends_at)} at the latest" if row.ends_at else ""
    say(f"{plain(row.name)} is renewed{until}.")
    return Nothing()


async def rename(api: Api, asked: Namespace, say: Say) -> Result:
    """Rename a session."""
    row = await api.find(asked.session)
    row = await api.rename(row.backend, row.id, asked.name)
    say(describe(row, (await api.defaults()).places))
    return Nothing()


async def logs(api: Api, asked: Namespace, say: Say) -> Result:
    """Show the output of a session."""
    row = await api.find(asked.session)
    return Text(await api.logs(row.backend, row.id))
