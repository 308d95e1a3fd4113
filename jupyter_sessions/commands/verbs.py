"""The verbs, one function each."""

from __future__ import annotations

import asyncio
import os
from argparse import Namespace
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from jupyter_sessions.client import Api
from jupyter_sessions.commands.result import Json, Nothing, Result, Table, Text
from jupyter_sessions.errors import InvalidRequest, LaunchFailed, SessionError
from jupyter_sessions.model import (
    GPU_SLOT,
    USABLE,
    SessionInfo,
    SessionSpec,
    format_slots,
    parse_slots,
    slot_label,
)

Say = Callable[[str], None]
Verb = Callable[[Api, Namespace, Say], Awaitable[Result]]
COLUMNS = ("name", "status", "image", "resources", "status_info", "id")
_TITLES = {"id": "Session ID", "status_info": "Status info", "created_at": "Created"}
_GPU_ENDINGS = (".device", ".shares")


async def perform(api: Api, asked: Namespace, say: Say) -> Result:
    """Do what was asked. Errors: SessionError."""
    return await VERBS[asked.verb](api, asked, say)


async def create(api: Api, asked: Namespace, say: Say) -> Result:
    """Create a session and wait until it runs, saying why it waits."""
    spec = SessionSpec(
        backend=asked.backend,
        name=asked.name,
        image=asked.image or asked.image_option,
        preset=asked.preset,
        resources=await _resources(api, asked),
        environ=_pairs(asked.env, "--env"),
        cwd=os.path.abspath(os.path.expanduser(asked.cwd or os.getcwd())),
        reuse_if_exists=not asked.no_reuse,
        tag=asked.tag,
    )
    row = await api.create(spec)
    if row.reused:
        say(f"{describe(row)} (reused)")
    elif asked.enqueue_only:
        say(describe(row))
    if not asked.enqueue_only and row.status not in USABLE:
        await _wait_running(api, row, asked.max_wait, say)
    return Nothing()


async def _wait_running(api: Api, row: SessionInfo, seconds: float, say: Say) -> None:
    told = ""
    try:
        async with asyncio.timeout(seconds or None):
            async for row in api.wait(row.backend, row.id, _settled):
                now = describe(row)
                if row.status_info and now != told and row.status != "ERROR":
                    say(now)
                    told = now
    except TimeoutError:
        say(f"{describe(row)}. It stays in the queue; `%session rm {row.name}` cancels it.")
        return
    if row.status not in USABLE:
        hint = f"`%session logs {row.name}` shows more, `%session rm {row.name}` removes it."
        raise LaunchFailed(f"The session '{row.name}' is {row.status}: {row.status_info}.", hint=hint)
    if describe(row) != told:
        say(describe(row))


def _settled(row: SessionInfo) -> bool:
    return row.status in USABLE or row.status in ("ERROR", "TERMINATED", "CANCELLED")


async def _resources(api: Api, asked: Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {"cpu": asked.cpu, "mem": asked.mem}
    given |= _pairs(asked.resource, "--resource")
    if asked.gpu not in (None, "0"):
        slot = await _gpu_slot(api, asked.backend)
        if slot in given:
            raise InvalidRequest(f"--gpu: '{slot}' is given twice.", hint="Leave one of the two out.", field="gpu")
        given[slot] = asked.gpu
    return dict(format_slots(parse_slots(given, unit="m")))


async def _gpu_slot(api: Api, backend: str | None) -> str:
    """The one accelerator slot of the backend."""
    found = {info.name: info for info in await api.describe()}
    info = found.get(backend or "") or next(iter(found.values()), None)
    slots = [name for name in (info.capacity if info else {}) if name.endswith(_GPU_ENDINGS)]
    if GPU_SLOT in slots or not slots:
        return GPU_SLOT
    if len(slots) > 1:
        raise InvalidRequest(
            "--gpu: there are several kinds.", hint=f"Use -r with one of {', '.join(slots)}.", field="gpu"
        )
    return slots[0]


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    pairs = dict[str, str]()
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise InvalidRequest(f"{option}: '{text}' is no NAME=VALUE.", field=option.strip("-"))
        pairs[key] = value
    return pairs


async def ps(api: Api, asked: Namespace, say: Say) -> Result:
    """List sessions."""
    listing = await api.list(status=asked.status, backend=asked.backend)
    fields = ["name"] if asked.name_only else (asked.format or ",".join(COLUMNS)).split(",")
    rows = [[show(row, field.strip()) for field in fields] for row in listing.sessions]
    if asked.json:
        return Json(listing.sessions)
    if asked.name_only:
        return Text("\n".join(row[0] for row in rows))
    backends = {row.backend for row in listing.sessions}
    if len(backends) > 1 and not asked.format:
        fields.insert(1, "backend")
        for cells, row in zip(rows, listing.sessions, strict=True):
            cells.insert(1, row.backend)
    head = [_TITLES.get(field, field.replace("_", " ").capitalize()) for field in fields]
    notes = [f"{backend}: {why}" for backend, why in listing.errors.items()]
    which = "" if asked.status == "live" else f" ({asked.status})"
    return Table(head, rows, empty=f"There are no sessions{which}. `%session create python` makes one.", notes=notes)


async def info(api: Api, asked: Namespace, say: Say) -> Result:
    """Show one session."""
    row = await api.find(asked.session)
    if asked.json:
        return Json(row)
    shown = [field for field in row.__struct_fields__ if getattr(row, field) not in (None, "", [], {})]
    return Table(["Field", "Value"], [[field, show(row, field)] for field in shown], fold=True)


async def rm(api: Api, asked: Namespace, say: Say) -> Result:
    """End sessions; one that cannot be ended does not keep the others."""
    failures: list[str] = []
    for ref in asked.sessions:
        try:
            row = await api.find(ref)
            if row.live:
                row = await api.destroy(row.backend, row.id, forced=asked.forced)
            async for row in api.wait(row.backend, row.id, lambda row: not row.live):
                continue
            say(f"{row.name} is {row.status}.")
        except SessionError as error:
            failures.append(str(error))
    if failures:
        raise InvalidRequest(" ".join(failures))
    return Nothing()


async def restart(api: Api, asked: Namespace, say: Say) -> Result:
    """Restart a session."""
    row = await api.find(asked.session)
    say(describe(await api.restart(row.backend, row.id)))
    return Nothing()


async def rename(api: Api, asked: Namespace, say: Say) -> Result:
    """Rename a session."""
    row = await api.find(asked.session)
    say(describe(await api.rename(row.backend, row.id, asked.name)))
    return Nothing()


async def logs(api: Api, asked: Namespace, say: Say) -> Result:
    """Show what a session printed."""
    row = await api.find(asked.session)
    return Text(await api.logs(row.backend, row.id))


VERBS: dict[str, Verb] = {
    "create": create,
    "ps": ps,
    "info": info,
    "rm": rm,
    "restart": restart,
    "rename": rename,
    "logs": logs,
}


def describe(row: SessionInfo) -> str:
    """A session in one line: "demo is RUNNING: python3 · 1 CPU · 512 MiB on this machine"."""
    why = f" ({row.status_info})" if row.status_info else ""
    where = "this machine" if row.backend == "local" else row.backend
    return f"{row.name} is {row.status}{why}: {row.image} · {resources(row)} on {where}"


def resources(row: SessionInfo) -> str:
    """What it was given, in words."""
    return " · ".join(slot_label(name, Decimal(amount)) for name, amount in parse_slots(row.resources).items())


def show(row: SessionInfo, field: str) -> str:
    """A field of a session as text. Errors: InvalidRequest listing the fields."""
    if field == "resources":
        return resources(row)
    field = {"session_id": "id", "occupying_slots": "occupied_slots"}.get(field, field)
    if field not in row.__struct_fields__:
        known = ", ".join(row.__struct_fields__)
        raise InvalidRequest(f"--format: there is no field '{field}'.", hint=f"There are: {known}.", field="format")
    value = getattr(row, field)
    if isinstance(value, datetime):
        return value.astimezone().isoformat(" ", "seconds")
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
